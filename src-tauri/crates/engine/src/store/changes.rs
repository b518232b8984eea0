//! Changes to the records: the same ones in memory and on the disk.

use ahoy_protocol::AhoyId;

use super::{
    DEVICES_KEPT, HISTORY_KEPT, REQUESTS_KEPT, Records, StoredCall, StoredContact, StoredDevice, StoredRequest,
};
use crate::api::{DeviceChoice, DeviceKind};

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New or changed.
    PutContact(StoredContact),
    /// Forgotten, with the calls there were.
    DeleteContact(AhoyId),
    /// New or changed.
    PutRequest(StoredRequest),
    /// Answered or forgotten.
    DeleteRequest(AhoyId),
    /// Refused from now on.
    Block(AhoyId),
    /// No longer refused.
    Unblock(AhoyId),
    /// New or changed.
    PutCall(StoredCall),
    /// Forgotten, by call ID.
    DeleteCall(String),
    /// New or changed.
    PutSetting(String, String),
    /// Chosen, for the first time or again.
    PutDevice(StoredDevice),
    /// Chosen too long ago.
    DeleteDevice(DeviceKind, DeviceChoice),
}

/// A row, so that a later change of it replaces an earlier one that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Contact(AhoyId),
    Request(AhoyId),
    Blocked(AhoyId),
    Call(String),
    Setting(String),
    Device(DeviceKind, DeviceChoice),
}

impl Change {
    pub(super) fn row(&self) -> Row {
        match self {
            Self::PutContact(contact) => Row::Contact(contact.id),
            Self::DeleteContact(id) => Row::Contact(*id),
            Self::PutRequest(request) => Row::Request(request.id),
            Self::DeleteRequest(id) => Row::Request(*id),
            Self::Block(id) | Self::Unblock(id) => Row::Blocked(*id),
            Self::PutCall(call) => Row::Call(call.entry.call_id.clone()),
            Self::DeleteCall(call_id) => Row::Call(call_id.clone()),
            Self::PutSetting(name, _) => Row::Setting(name.clone()),
            Self::PutDevice(device) => Row::Device(device.role, device.choice.clone()),
            Self::DeleteDevice(role, choice) => Row::Device(*role, choice.clone()),
        }
    }
}

impl Records {
    /// Makes the change and gives the changes to be written: itself, and what had to go because of it.
    pub(super) fn apply(&mut self, change: Change) -> Vec<Change> {
        let mut changes = vec![change.clone()];
        match change {
            Change::PutContact(contact) => {
                self.contacts.insert(contact.id, contact);
            }
            Change::DeleteContact(id) => {
                self.contacts.remove(&id);
                let peer = id.to_string();
                self.history.retain(|call| {
                    let keep = call.entry.peer != peer;
                    if !keep {
                        changes.push(Change::DeleteCall(call.entry.call_id.clone()));
                    }
                    keep
                });
            }
            Change::PutRequest(request) => {
                self.requests.insert(request.id, request);
                while self.requests.len() > REQUESTS_KEPT {
                    let Some(oldest) = self.requests.values().min_by_key(|request| request.at_ms) else { break };
                    let oldest = oldest.id;
                    self.requests.remove(&oldest);
                    changes.push(Change::DeleteRequest(oldest));
                }
            }
            Change::DeleteRequest(id) => {
                self.requests.remove(&id);
            }
            Change::Block(id) => {
                self.blocked.insert(id);
            }
            Change::Unblock(id) => {
                self.blocked.remove(&id);
            }
            Change::PutCall(call) => {
                self.history.retain(|kept| kept.entry.call_id != call.entry.call_id);
                let place = self.history.partition_point(|kept| kept.entry.at_ms > call.entry.at_ms);
                self.history.insert(place, call);
                for old in self.history.drain(HISTORY_KEPT.min(self.history.len())..) {
                    changes.push(Change::DeleteCall(old.entry.call_id));
                }
            }
            Change::DeleteCall(call_id) => self.history.retain(|call| call.entry.call_id != call_id),
            Change::PutSetting(name, value) => {
                self.settings.insert(name, value);
            }
            Change::PutDevice(device) => {
                let role = device.role;
                self.devices.retain(|old| old.role != role || old.choice != device.choice);
                let place = self.devices.partition_point(|old| old.rank > device.rank);
                self.devices.insert(place, device);
                let mut kept = 0;
                self.devices.retain(|old| {
                    kept += usize::from(old.role == role);
                    let keep = old.role != role || kept <= DEVICES_KEPT;
                    if !keep {
                        changes.push(Change::DeleteDevice(role, old.choice.clone()));
                    }
                    keep
                });
            }
            Change::DeleteDevice(role, choice) => {
                self.devices.retain(|old| old.role != role || old.choice != choice);
            }
        }
        changes
    }
}
