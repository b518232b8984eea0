//! From the ranking and the list to the one device that should be open.

use ahoy_devices::{DeviceInfo, Kind, Reach, Selection};

use super::ranking::is_synthetic;
use super::{Role, STRIKES, State};
use crate::api::DeviceChoice;

/// A device that may be opened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub selection: Selection,
    /// `None` where only the system knows, which default it has.
    pub id: Option<String>,
    pub label: String,
    pub reach: Reach,
    /// `None` before a list told it.
    pub incarnation: Option<u32>,
    pub synthetic: bool,
    /// It is the system's default, followed.
    pub by_default: bool,
    /// The person made it the system's default just now, so it may be louder.
    pub permitted: bool,
    /// It failed again and again, and so did everything else.
    pub failing: bool,
}

impl Target {
    fn of(device: &DeviceInfo, by_default: bool) -> Self {
        let id = device.id.to_string();
        Self {
            selection: Selection::Device(device.id.clone()),
            id: Some(id),
            label: device.label.clone(),
            reach: device.traits.reach,
            incarnation: Some(device.traits.incarnation),
            synthetic: device.synthetic,
            by_default,
            permitted: false,
            failing: false,
        }
    }

    /// One that no list has told of.
    fn unlisted(selection: Selection, synthetic: bool) -> Self {
        let (id, label) = match &selection {
            Selection::SystemDefault => (None, String::new()),
            Selection::Device(id) => (Some(id.to_string()), short(id.as_str())),
        };
        let by_default = selection == Selection::SystemDefault;
        Self {
            selection,
            id,
            label,
            reach: Reach::Unknown,
            incarnation: None,
            synthetic,
            by_default,
            permitted: false,
            failing: false,
        }
    }

    /// Under which its failures are counted.
    pub fn key(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Whether the other is the same device, so that nothing is to be done; what the other knows more is taken over.
    /// `open`: the identifier of what really was opened, where it is one of the list's.
    pub fn adopt(&mut self, other: &Self, open: Option<&String>) -> bool {
        let mine = self.id.as_ref().or(open);
        let same_id = match (mine, &other.id) {
            (Some(mine), Some(theirs)) => mine == theirs,
            // Only the system knows: it is what was asked for.
            (None, _) | (_, None) => self.by_default && other.by_default,
        };
        let same_incarnation = match (self.incarnation, other.incarnation) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (None, _) | (_, None) => true,
        };
        let same = same_id && same_incarnation;
        if same {
            let permitted = self.permitted || other.permitted;
            *self = Self { permitted, ..other.clone() };
        }
        same
    }
}

/// What should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    Use(Target),
    /// Only this louder one is there.
    Hold(Target),
    Nothing,
}

/// What to call a device of which nothing but the identifier is known.
pub(super) fn short(id: &str) -> String {
    id.rsplit(['/', ':']).find(|part| !part.is_empty()).unwrap_or(id).to_owned()
}

impl Role {
    /// The first in the ranking that is there, may be opened and works; where none works, they are tried in turn.
    pub(super) fn plan(&self) -> Plan {
        let (mut failing, mut louder) = (Vec::new(), None);
        for mut target in self.candidates() {
            let strikes = self.strikes.get(target.key()).copied().unwrap_or_default();
            if !self.may_use(&mut target) {
                louder.get_or_insert(target);
            } else if strikes >= STRIKES {
                failing.push((strikes, target));
            } else {
                return Plan::Use(target);
            }
        }
        let least = failing.into_iter().min_by_key(|(strikes, _)| *strikes);
        match (least, louder) {
            (Some((_, failing)), _) => Plan::Use(Target { failing: true, ..failing }),
            (None, Some(louder)) => Plan::Hold(louder),
            (None, None) => Plan::Nothing,
        }
    }

    /// Best first.
    fn candidates(&self) -> impl Iterator<Item = Target> {
        let ranked = self.ranking.iter().filter_map(|old| self.resolve(&old.choice, &old.label));
        let never_chose = self.ranking.iter().next().is_none();
        let last = (never_chose || self.kind != Kind::Camera).then(|| self.resolve(&DeviceChoice::SystemDefault, ""));
        ranked.chain(last.flatten())
    }

    pub(super) fn resolve(&self, choice: &DeviceChoice, label: &str) -> Option<Target> {
        match (choice, &self.devices) {
            (DeviceChoice::Nothing, _) => None,
            (DeviceChoice::Device { id }, devices) => {
                let listed = devices.as_ref().and_then(|devices| self.ranking.find(id, label, devices));
                let wanted = || Selection::Device(id.as_str().into());
                match listed {
                    Some(device) => Some(Target::of(device, false)),
                    None if is_synthetic(id) => Some(Target::unlisted(wanted(), true)),
                    None => devices.is_none().then(|| Target::unlisted(wanted(), false)),
                }
            }
            (DeviceChoice::SystemDefault, None) => Some(Target::unlisted(Selection::SystemDefault, false)),
            (DeviceChoice::SystemDefault, Some(devices)) => self.resolve_default(devices),
        }
    }

    fn resolve_default(&self, devices: &[DeviceInfo]) -> Option<Target> {
        let mut real = devices.iter().filter(|device| !device.synthetic).peekable();
        if let (Kind::Camera, Some(used)) = (self.kind, &self.used) {
            return real.find(|device| device.id.as_str() == used).map(|device| Target::of(device, true));
        }
        real.peek()?;
        let Some(device) = real.find(|device| device.is_default) else {
            return Some(Target::unlisted(Selection::SystemDefault, false));
        };
        let target = Target::of(device, true);
        // While the reach counts it is this one and no other: the system's default may be another by the time of opening.
        let selection = if self.limit.is_some() { target.selection.clone() } else { Selection::SystemDefault };
        Some(Target { selection, ..target })
    }

    /// Whether nobody hears it who did not before; or the person decided so.
    fn may_use(&self, target: &mut Target) -> bool {
        let Some(limit) = self.limit else { return true };
        if target.synthetic || target.reach <= limit {
            return true;
        }
        // It was heard before as it is now, because the person chose it.
        target.permitted = self.served.is_some_and(|reach| target.reach <= reach) && self.is_choice(target);
        // The system's default was moved while the one before is still there as it was: that was the person.
        if let State::Open { target: open, id, .. } = &self.state
            && open.by_default
            && target.by_default
            && target.id.as_ref() != Some(id)
            && self.device(id).is_some_and(|device| device.traits.reach <= limit)
        {
            target.permitted = true;
        }
        target.permitted
    }

    /// It is the named device that counts.
    pub(super) fn is_choice(&self, target: &Target) -> bool {
        let chosen = || self.resolve(self.ranking.choice(), self.ranking.label());
        !target.by_default && chosen().is_some_and(|chosen| !chosen.by_default && chosen.id == target.id)
    }

    /// Something else was opened than was meant, and it is louder.
    pub(super) fn too_loud(&self, id: &str, target: &Target) -> Option<Target> {
        let limit = self.limit.filter(|_| !target.permitted && !target.synthetic)?;
        let louder = self.device(id).filter(|device| device.traits.reach > limit)?;
        Some(Target::of(louder, target.by_default))
    }

    /// From the first list on that knows the open speaker, nothing louder than it is opened by itself.
    pub(super) fn note_reach(&mut self) {
        if self.kind == Kind::Speaker
            && self.guarded
            && let State::Open { target, id, .. } = &self.state
            && !target.synthetic
            && let Some(reach) = self.device(id).map(|device| device.traits.reach)
        {
            self.limit = Some(self.limit.map_or(reach, |limit| limit.min(reach)));
        }
    }
}
