public import CloudModel
public import CloudPorts
import Crypto
import Dispatch
import Foundation
import Glibc
import Synchronization

/// Images as files of one folder, each with a small file beside it that says what it is.
///
/// The hosts have to see the folder under the same path (a network file system, or the platform's own machine): images
/// are not carried to them. An import is written to a hidden file of the folder, which becomes the image at its end.
public final class ImageFolder: ImageStore {
    /// Imports at once.
    static let maximumImports = 4
    /// What is left free of the file system: whoever else writes there goes on.
    static let spareBytes: Int64 = 64 << 20
    private static let partSuffix = ".part"

    let path: String
    private let freeBytes: @Sendable (String) -> Int64
    private let importing = Mutex<Set<String>>([])
    let queue = DispatchQueue(label: "images", attributes: .concurrent)

    /// Makes the folder where it is missing, and removes what is left of imports that did not come to their end.
    public convenience init(path: String) throws(ImageRefusal) { try self.init(path: path, freeBytes: Self.free) }

    /// - Parameter freeBytes: of the file system that a path is on.
    package init(path: String, freeBytes: @escaping @Sendable (String) -> Int64) throws(ImageRefusal) {
        self.path = path
        self.freeBytes = freeBytes
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            for name in try FileManager.default.contentsOfDirectory(atPath: path)
            where name.hasPrefix(".") && name.hasSuffix(Self.partSuffix) {
                try FileManager.default.removeItem(atPath: "\(path)/\(name)")
            }
        } catch {
            throw ImageRefusal(
                .failed,
                "the folder \(path) for images cannot be used (\(error.localizedDescription)); make it one that the "
                    + "platform can write, or name another as spec.imageDirectory of the document of kind Cloud")
        }
    }

    private static func free(_ path: String) -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return .max }
        let (octets, isMore) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return isMore ? .max : Int64(clamping: octets)
    }

    // MARK: The port

    public func list() async throws(ImageRefusal) -> [StoredImage] {
        try await blocking { () throws(ImageRefusal) in try self.images() }
    }

    public func begin(
        _ name: String, format: VirtualDisk.Format, size: Int64?, sha256: String?
    ) async throws(ImageRefusal) -> any ImageImport {
        guard Self.isName(name) else {
            throw ImageRefusal(
                .invalid,
                "'\(name.prefix(80))' is no name of an image: letters, digits, '-', '_' and '.', at most 64, and a "
                    + "letter or digit first")
        }
        if let sha256, sha256.utf8.count != 64 || !sha256.allSatisfy(\.isHexDigit) {
            throw ImageRefusal(.invalid, "'\(sha256.prefix(80))' is no SHA-256 digest: 64 digits of hex")
        }
        let refusal = importing.withLock { names -> ImageRefusal? in
            guard names.count < Self.maximumImports else {
                return ImageRefusal(.conflict, "\(names.count) images are being imported already; wait for one")
            }
            guard names.insert(name).inserted else {
                return ImageRefusal(.conflict, "an image '\(name)' is being imported already")
            }
            return nil
        }
        if let refusal { throw refusal }
        do throws(ImageRefusal) {
            return try await blocking { () throws(ImageRefusal) in
                guard try !self.images().contains(where: { $0.name == name }) else {
                    throw ImageRefusal(
                        .conflict,
                        "there is an image '\(name)' already; images do not change, so give this one its own name")
                }
                try self.requireRoom(size ?? 0)
                return try PartialImage(name, format, sha256?.lowercased(), in: self)
            }
        } catch {
            forget(name)
            throw error
        }
    }

    public func remove(_ name: String) async throws(ImageRefusal) {
        try await blocking { () throws(ImageRefusal) in
            guard let image = try self.images().first(where: { $0.name == name }) else {
                throw ImageRefusal(.notFound, "there is no image '\(name)'; see `cloudwright image list`")
            }
            guard unlink(image.path) == 0 || errno == ENOENT else { throw Self.failure("removing \(image.path)") }
            // Without its image it counts for nothing.
            unlink(self.notePath(name))
        }
    }

    // MARK: Files

    func imagePath(_ name: String, _ format: VirtualDisk.Format) -> String { "\(path)/\(name).\(format.rawValue)" }
    func notePath(_ name: String) -> String { "\(path)/\(name).json" }
    func partPath(_ name: String) -> String { "\(path)/.\(name)\(Self.partSuffix)" }
    func forget(_ name: String) { importing.withLock { _ = $0.remove(name) } }

    func requireRoom(_ size: Int64) throws(ImageRefusal) {
        let free = freeBytes(path)
        guard free >= Self.spareBytes, size <= free - Self.spareBytes else {
            throw ImageRefusal(
                .noRoom,
                "\(path) has \(free >> 20) MiB free, \(Self.spareBytes >> 20) of which are kept so; the image needs "
                    + "\(size >> 20) MiB; remove images, or give the folder more room")
        }
    }

    static func isName(_ name: String) -> Bool {
        func isWord(_ character: Character) -> Bool {
            character.isASCII && (character.isLetter || character.isNumber)
        }
        return (1...64).contains(name.utf8.count) && name.first.map(isWord) == true
            && name.allSatisfy { isWord($0) || "-_.".contains($0) }
    }

    /// Those whose file is there.
    private func images() throws(ImageRefusal) -> [StoredImage] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
                .compactMap { file in
                    let note = try Data(contentsOf: URL(filePath: "\(path)/\(file)"))
                    guard let image = try? JSONDecoder().decode(StoredImage.self, from: note),
                        "\(image.name).json" == file, access(imagePath(image.name, image.format), F_OK) == 0
                    else { return nil }
                    return image
                }
        } catch { throw ImageRefusal(.failed, "reading \(path): \(error.localizedDescription)") }
    }

    /// What the system said last, on this thread.
    static func failure(_ doing: String) -> ImageRefusal {
        let number = errno
        let code: ImageRefusal.Code = number == ENOSPC || number == EDQUOT ? .noRoom : .failed
        return ImageRefusal(code, "\(doing): \(String(cString: strerror(number)))")
    }

    /// Runs what waits for a disk on a thread of Dispatch's, never on those of Swift's tasks.
    func blocking<Value: Sendable>(
        _ body: @escaping @Sendable () throws(ImageRefusal) -> Value
    ) async throws(ImageRefusal) -> Value {
        let result = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Result { () throws(ImageRefusal) in try body() })
            }
        }
        return try result.get()
    }
}
