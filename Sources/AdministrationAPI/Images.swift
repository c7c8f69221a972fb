extension API {
    /// What an image's file is written in.
    public enum ImageFormat: String, WireEnumeration {
        case qcow2
        case raw
    }

    /// An image that disks of virtual servers may be overlays over.
    public struct Image: WireType {
        public var name: String
        public var format: ImageFormat
        /// What a disk names as its `image`.
        public var path: String
        public var fileBytes: Int64
        /// Of the disk that a guest sees.
        public var virtualBytes: Int64
        public var sha256: String
        public var importedAt: Moment
        public var importedBy: String
        /// Services whose disks are declared over it.
        public var usedBy: [String]

        public init(
            name: String, format: ImageFormat, path: String, fileBytes: Int64, virtualBytes: Int64, sha256: String,
            importedAt: Moment, importedBy: String, usedBy: [String]
        ) {
            self.name = name
            self.format = format
            self.path = path
            self.fileBytes = fileBytes
            self.virtualBytes = virtualBytes
            self.sha256 = sha256
            self.importedAt = importedAt
            self.importedBy = importedBy
            self.usedBy = usedBy
        }

        public static let summary = "An image that disks of virtual servers may be overlays over."
        public static let fields = [
            "name": "Its name.",
            "format": "What its file is written in.",
            "path": "Its file, as the hosts have to see it: what a disk names as its `image`.",
            "fileBytes": "The size of its file.",
            "virtualBytes": "The size of the disk that a guest sees.",
            "sha256": "The digest of its file, in hex.",
            "importedAt": "When it was imported.",
            "importedBy": "Who imported it.",
            "usedBy": "Services whose disks are declared over it.",
        ]
    }
}
