import CloudModel
import CloudPorts
import Crypto
import Foundation
import Glibc
import Synchronization

/// An image that is being written; used by one task at a time.
final class PartialImage: ImageImport {
    private struct State: Sendable {
        /// -1 once it has ended.
        var descriptor: Int32
        var digest = SHA256()
        var beginning: [UInt8] = []
        var size: Int64 = 0
        /// When the room was looked at last.
        var roomAt: Int64 = 0
    }

    /// The room is looked at anew each so many octets.
    private static let roomStep: Int64 = 16 << 20

    private let name: String
    private let format: VirtualDisk.Format
    private let wanted: String?
    private let folder: ImageFolder
    private let state: Mutex<State>

    init(
        _ name: String, _ format: VirtualDisk.Format, _ wanted: String?, in folder: ImageFolder
    ) throws(ImageRefusal) {
        let path = folder.partPath(name)
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ImageFolder.failure("making \(path)") }
        self.name = name
        self.format = format
        self.wanted = wanted
        self.folder = folder
        state = Mutex(State(descriptor: descriptor))
    }

    deinit { end() }

    func write(_ octets: [UInt8]) async throws(ImageRefusal) {
        try await folder.blocking { () throws(ImageRefusal) in
            try self.state.withLock { state throws(ImageRefusal) in
                guard state.descriptor >= 0 else { throw ImageRefusal(.failed, "the import has ended") }
                if state.size >= state.roomAt {
                    try self.folder.requireRoom(Int64(octets.count))
                    state.roomAt = state.size + Self.roomStep
                }
                state.digest.update(data: octets)
                if state.beginning.count < ImageHeader.examinedBytes {
                    state.beginning += octets.prefix(ImageHeader.examinedBytes - state.beginning.count)
                }
                var written = 0
                while written < octets.count {
                    let count = octets.withUnsafeBytes { bytes in
                        Glibc.write(
                            state.descriptor, bytes.baseAddress?.advanced(by: written), octets.count - written)
                    }
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw ImageFolder.failure("writing the image") }
                    written += count
                }
                state.size += Int64(octets.count)
            }
        }
    }

    func finish(by actor: String, at time: Timestamp) async throws(ImageRefusal) -> StoredImage {
        try await folder.blocking { () throws(ImageRefusal) in
            defer { self.end() }
            return try self.checked(actor, time)
        }
    }

    private func checked(_ actor: String, _ time: Timestamp) throws(ImageRefusal) -> StoredImage {
        let (descriptor, digest, beginning, size) = state.withLock {
            ($0.descriptor, $0.digest, $0.beginning, $0.size)
        }
        guard descriptor >= 0 else { throw ImageRefusal(.failed, "the import has ended") }
        let found = digest.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        if let wanted, wanted != found {
            throw ImageRefusal(
                .invalid,
                "the image's SHA-256 is \(found), not \(wanted): it was altered or cut off on its way, or is "
                    + "another one")
        }
        let virtualSize = try ImageHeader.virtualSize(beginning, size: size, format: format)
        let path = folder.imagePath(name, format)
        let image = StoredImage(
            name: name, format: format, path: path, fileSize: ByteCount(bytes: size), virtualSize: virtualSize,
            sha256: found, importedAt: time, importedBy: actor)
        // Whoever runs guests reads it, and nobody writes to it.
        guard fchmod(descriptor, 0o444) == 0, fsync(descriptor) == 0 else {
            throw ImageFolder.failure("writing \(path)")
        }
        do {
            try JSONEncoder().encode(image).write(to: URL(filePath: folder.notePath(name)), options: .atomic)
        } catch { throw ImageRefusal(.failed, "writing \(folder.notePath(name)): \(error.localizedDescription)") }
        // A link and no renaming: what has the name is not replaced.
        guard link(folder.partPath(name), path) == 0 else {
            let failure = ImageFolder.failure("making \(path)")
            unlink(folder.notePath(name))
            throw failure
        }
        return image
    }

    func abandon() async {
        _ = try? await folder.blocking { () throws(ImageRefusal) in self.end() }
    }

    private func end() {
        let descriptor = state.withLock { state in
            defer { state.descriptor = -1 }
            return state.descriptor
        }
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(folder.partPath(name))
        folder.forget(name)
    }
}
