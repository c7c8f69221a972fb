import Glibc

extension SpoolDirectory {
    /// Whether a process has the spool in this directory open now; false where there is none.
    public static func isInUse(_ path: String) -> Bool {
        let descriptor = open("\(path)/lock", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        // Closing gives it up again.
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }
}
