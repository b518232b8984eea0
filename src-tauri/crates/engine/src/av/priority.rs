//! Being served first, where the system lets us.

/// Raises the calling thread's priority as far as an ordinary person may, best effort: a refusal changes nothing.
pub(super) fn raise() {
    #[cfg(target_os = "linux")]
    {
        // On Linux a "process" of this call is one thread; 0 is the calling one. Without the right to it (RLIMIT_NICE) the
        // answer is EACCES and the thread stays as it is.
        // SAFETY: takes and gives plain numbers.
        let answer = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
        tracing::trace!(answer, "priority of the audio thread");
    }
}
