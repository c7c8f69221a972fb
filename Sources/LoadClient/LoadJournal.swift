import Glibc

/// A file of lines that is only added to, so that what a client was answered outlives the client.
final class LoadJournal {
    private let descriptor: Int32
    private var pending: [UInt8] = []

    init(path: String) throws(LoadClientError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw LoadClientError(.system, "cannot write \(path): \(Socket.describe(errno))")
        }
    }

    deinit { close(descriptor) }

    func append(id: String, status: Int, loadID: String) {
        pending.append(contentsOf: "\(id)\t\(status)\t\(loadID)\n".utf8)
    }

    func flush() throws(LoadClientError) {
        var written = 0
        while written < pending.count {
            let count = pending.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, $0.count - written) }
            guard count >= 0 || errno == EINTR else {
                throw LoadClientError(.system, "the journal cannot be written: \(Socket.describe(errno))")
            }
            written += max(0, count)
        }
        pending.removeAll(keepingCapacity: true)
    }
}
