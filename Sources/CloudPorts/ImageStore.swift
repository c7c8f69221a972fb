public import CloudModel

/// Images that disks of virtual servers are overlays over. They are never written to once they are there.
public protocol ImageStore: Sendable {
    /// By name.
    func list() async throws(ImageRefusal) -> [StoredImage]
    /// Begins an import; nothing is seen of it until it is finished.
    /// - Parameters:
    ///   - size: of the file, where it is known: what does not fit is refused at once.
    ///   - sha256: the digest that it has to have, in hex; nil: any.
    func begin(
        _ name: String, format: VirtualDisk.Format, size: Int64?, sha256: String?
    ) async throws(ImageRefusal) -> any ImageImport
    func remove(_ name: String) async throws(ImageRefusal)
}

/// An image that is being imported. Whoever has begun it finishes or abandons it.
public protocol ImageImport: Sendable {
    /// Returns once it is written: that is how fast it may come.
    func write(_ octets: [UInt8]) async throws(ImageRefusal)
    /// Checks what has come, and makes it an image. Where it throws, nothing is left of it.
    func finish(by actor: String, at time: Timestamp) async throws(ImageRefusal) -> StoredImage
    /// Removes what has come; after `finish` it does nothing.
    func abandon() async
}

public struct StoredImage: Codable, Hashable, Sendable {
    public var name: String
    public var format: VirtualDisk.Format
    /// Where it is, as the hosts have to see it.
    public var path: String
    public var fileSize: ByteCount
    /// Of the disk that a guest sees.
    public var virtualSize: ByteCount
    /// In hex.
    public var sha256: String
    public var importedAt: Timestamp
    public var importedBy: String

    public init(
        name: String, format: VirtualDisk.Format, path: String, fileSize: ByteCount, virtualSize: ByteCount,
        sha256: String, importedAt: Timestamp, importedBy: String
    ) {
        self.name = name
        self.format = format
        self.path = path
        self.fileSize = fileSize
        self.virtualSize = virtualSize
        self.sha256 = sha256
        self.importedAt = importedAt
        self.importedBy = importedBy
    }
}

/// Why an image was not imported or removed, for people.
public struct ImageRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        case notFound
        /// What came is no image that may be used.
        case invalid
        /// There is one of the name, or too many are imported already.
        case conflict
        case noRoom
        /// The file system refused.
        case failed
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
