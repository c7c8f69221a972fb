import CloudPorts
import Glibc
import Synchronization

/// What the driver keeps in the data directory: the cloud's identity, the lock, the output of the instances.
///
/// The identity marks every process that is started, so that a later control plane of the same cloud finds it, and one
/// of another cloud leaves it alone. It is a random number together with the directory's own identity on this machine:
/// a copy of the data directory is another cloud and does not end this one's instances.
final class DriverDirectory: Sendable {
    /// Letters, digits and `-`.
    let cloud: String
    /// Whether this machine has been booted since the driver last ran: then no process can be ours.
    let bootedSince: Bool
    let outputDirectory: String
    private let lock: Int32
    private let unlocked = Atomic(false)

    init(dataDirectory: String) throws(InstanceDriverError) {
        let directory = dataDirectory + "/instances"
        outputDirectory = directory + "/output"
        do {
            try SystemFile.makeDirectory(outputDirectory, mode: 0o700)
            lock = try Self.takeLock(directory + "/lock")
        } catch {
            throw Self.refusal(error, dataDirectory)
        }
        do {
            cloud = try Self.cloudIdentity(of: directory)
            bootedSince = try Self.noteBoot(in: directory)
        } catch {
            close(lock)
            throw Self.refusal(error, dataDirectory)
        }
    }

    deinit { unlock() }

    func unlock() {
        if !unlocked.exchange(true, ordering: .acquiringAndReleasing) { close(lock) }
    }

    private static func refusal(_ failure: SystemFailure, _ dataDirectory: String) -> InstanceDriverError {
        if failure.code == EWOULDBLOCK {
            return InstanceDriverError(
                .unsupported,
                "another control plane runs on \(dataDirectory); stop it, or give this one a data directory of its own")
        }
        return InstanceDriverError(
            .unsupported, "\(failure); make \(dataDirectory) a directory that this user can write")
    }

    /// Held as long as the descriptor is open: the kernel gives it up when the process is killed. Instances do not
    /// inherit it.
    private static func takeLock(_ path: String) throws(SystemFailure) -> Int32 {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemFailure("open", path) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(file)
            throw SystemFailure("lock", path, code)
        }
        return file
    }

    private static func cloudIdentity(of directory: String) throws(SystemFailure) -> String {
        let path = directory + "/cloud"
        var number = SystemFile.readText(path, limit: 64) ?? ""
        if number.count != 32 || !number.allSatisfy(\.isHexDigit) {
            number = (0..<2).map { _ in hexadecimal(UInt64.random(in: .min ... .max)) }.joined()
            try SystemFile.write(number + "\n", to: path + ".new", create: true)
            guard rename(path + ".new", path) == 0 else { throw SystemFailure("rename", path + ".new") }
        }
        var status = stat()
        guard stat(directory, &status) == 0 else { throw SystemFailure("look at", directory) }
        return "\(number)-\(status.st_dev)-\(status.st_ino)"
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func noteBoot(in directory: String) throws(SystemFailure) -> Bool {
        guard let boot = SystemFile.readText("/proc/sys/kernel/random/boot_id") else { return false }
        let path = directory + "/boot"
        guard SystemFile.readText(path, limit: 128) != boot else { return false }
        try SystemFile.write(boot + "\n", to: path, create: true)
        return true
    }
}
