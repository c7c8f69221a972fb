package import CloudModel
import Glibc

/// Where one instance's standard output and error go: a file that the instance itself appends to, so that nothing is
/// lost and nothing breaks when the control plane is killed.
///
/// Rotation copies the file and then empties it, since the writer keeps it open. What is written between the last look
/// at the file and its emptying (some microseconds) is lost; so is, where more than `limit` was written between two
/// checks, all but the newest `limit` bytes of it.
package struct OutputFile: Hashable, Sendable {
    package var path: String
    package var limit: Int64

    /// Below this a limit makes no sense: every check would rotate.
    private static let smallestLimit: Int64 = 4_096
    private static let chunkSize = 1 << 18

    package init(path: String, limit: ByteCount) {
        self.path = path
        self.limit = max(limit.bytes, Self.smallestLimit)
    }

    package var olderPath: String { path + ".1" }
    private var partPath: String { path + ".1.part" }

    func remove() {
        for path in [partPath, olderPath, path] { unlink(path) }
    }

    /// A descriptor of 3 or more that appends, closed on exec. A line with `header` is written first.
    func openForAppending(header: String) throws(SystemFailure) -> Int32 {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        let first = open(path, flags, 0o640)
        guard first >= 0 else { throw SystemFailure("open", path) }
        // A daemon may run without its standard streams, and would be given their numbers.
        let descriptor = first > STDERR_FILENO ? first : fcntl(first, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
        if descriptor != first { close(first) }
        guard descriptor >= 0 else { throw SystemFailure("open", path) }
        var line = header + "\n"
        // A full disk must not keep an instance from starting: its output is what suffers.
        line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
        return descriptor
    }

    /// Moves the content to the older file where it is beyond the limit. Gives back whether it was.
    @discardableResult
    package func rotateIfNeeded() throws(SystemFailure) -> Bool {
        let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        if file < 0, errno == ENOENT { return false }
        guard file >= 0 else { throw SystemFailure("open", path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw SystemFailure("look at", path) }
        guard Int64(status.st_size) > limit else { return false }
        var failure: SystemFailure?
        do throws(SystemFailure) { try copyNewest(of: file, size: Int64(status.st_size)) } catch { failure = error }
        // Emptied even where the copy failed (the disk is full): the limit protects everything else on the disk.
        guard ftruncate(file, 0) == 0 else { throw SystemFailure("empty", path) }
        if let failure { throw failure }
        return true
    }

    private func copyNewest(of file: Int32, size: Int64) throws(SystemFailure) {
        let part = open(partPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard part >= 0 else { throw SystemFailure("open", partPath) }
        defer { close(part) }
        do throws(SystemFailure) {
            var offset = max(0, size - limit)
            offset = try copy(from: file, at: offset, to: part, bound: size - offset)
            guard rename(partPath, olderPath) == 0 else { throw SystemFailure("rename", partPath) }
            // What was written meanwhile, up to the end; bounded, so that a fast writer cannot hold us here.
            try copy(from: file, at: offset, to: part, bound: limit)
        } catch {
            unlink(partPath)
            throw error
        }
    }

    @discardableResult
    private func copy(
        from source: Int32, at start: Int64, to target: Int32, bound: Int64
    ) throws(SystemFailure) -> Int64 {
        var offset = start
        var chunk = [UInt8](repeating: 0, count: Self.chunkSize)
        while offset - start < bound {
            let wanted = min(chunk.count, Int(bound - (offset - start)))
            let count = pread(source, &chunk, wanted, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemFailure("read", path) }
            if count == 0 { break }
            var written = 0
            while written < count {
                let result = chunk.withUnsafeBytes { write(target, $0.baseAddress! + written, count - written) }
                if result < 0, errno == EINTR { continue }
                guard result > 0 else { throw SystemFailure("write", olderPath) }
                written += result
            }
            offset += Int64(count)
        }
        return offset
    }
}

/// The directory with the output of all instances, those that are gone included.
package struct OutputDirectory: Sendable {
    package var path: String
    /// How many instances that are gone keep their output; beyond it the oldest is removed.
    package var retained: Int

    package init(path: String, retained: Int) {
        self.path = path
        self.retained = retained
    }

    package func file(of instance: InstanceID, limit: ByteCount) -> OutputFile {
        OutputFile(path: "\(path)/\(instance).log", limit: limit)
    }

    /// Removes the oldest output of instances that are not among `running`.
    package func removeOldest(except running: Set<InstanceID>) {
        var ended: [(name: String, modified: Int)] = []
        for name in SystemFile.names(in: path) where name.hasSuffix(".log") {
            var status = stat()
            guard !running.contains(InstanceID(String(name.dropLast(4)))), lstat("\(path)/\(name)", &status) == 0 else {
                continue
            }
            ended.append((name, status.st_mtim.tv_sec))
        }
        guard ended.count > retained else { return }
        ended.sort { ($0.modified, $0.name) > ($1.modified, $1.name) }
        for (name, _) in ended[retained...] {
            OutputFile(path: "\(path)/\(name)", limit: ByteCount(bytes: 0)).remove()
        }
    }
}
