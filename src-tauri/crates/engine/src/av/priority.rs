//! Being served first, where the system lets us.

/// Raises the calling thread's priority as far as an ordinary person may, best effort: a refusal changes nothing.
pub(super) fn raise() {
    #[cfg(target_os = "linux")]
    linux::raise();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    /// As sound servers have: before everything ordinary, behind the system's own.
    const NICE: libc::c_int = -10;
    /// The bus's own limit is 25 s; whoever waits for so little is a thread of its own.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn raise() {
        // On Linux a "process" of this call is one thread; 0 is the calling one. Without the right to it (RLIMIT_NICE) the
        // answer is EACCES.
        // SAFETY: takes and gives plain numbers.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } == 0 {
            return;
        }
        // SAFETY: takes nothing and gives a number.
        let thread = unsafe { libc::gettid() };
        // The bus may take its time, and sound does not wait for it.
        let asking = std::thread::Builder::new().name("priority".to_owned()).spawn(move || match ask(thread) {
            Ok(()) => tracing::debug!("RealtimeKit raised the audio thread's priority"),
            Err(error) => tracing::debug!(%error, "the audio thread keeps its ordinary priority"),
        });
        drop(asking);
    }

    /// RealtimeKit, which comes with desktops' sound servers, does it for the person who sits at the machine.
    fn ask(thread: libc::pid_t) -> zbus::Result<()> {
        const NAME: &str = "org.freedesktop.RealtimeKit1";
        let bus = zbus::blocking::connection::Builder::system()?.method_timeout(PATIENCE).build()?;
        let wish = (u64::from(thread.unsigned_abs()), NICE);
        bus.call_method(Some(NAME), "/org/freedesktop/RealtimeKit1", Some(NAME), "MakeThreadHighPriority", &wish)?;
        Ok(())
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    mod tests {
        use super::*;

        /// Who may, gets it at once; who may not is left as before by a machine without RealtimeKit, or gets it from there.
        #[test]
        fn a_thread_is_raised_or_stays_as_it_is() {
            // SAFETY: these take and give plain numbers.
            let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
            let try_it = || unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } == 0;
            let may = std::thread::spawn(try_it).join().unwrap();
            let raised = std::thread::spawn(move || {
                let before = nice();
                raise();
                (before, nice())
            });
            let (before, after) = raised.join().unwrap();
            assert!(after == NICE || !may && after == before, "{before} became {after}");
        }

        #[test]
        fn without_the_right_and_without_a_bus_the_answer_is_an_error_and_no_wait() {
            if std::path::Path::new("/run/dbus/system_bus_socket").exists() {
                return;
            }
            assert!(ask(1).is_err());
        }
    }
}
