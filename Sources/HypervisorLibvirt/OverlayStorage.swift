import CLibvirt
import CloudModel

/// Files on a host that no one but its libvirt can reach, made and removed through its storage pools.
enum OverlayStorage {
    /// Makes what is not there yet; what is there is left as it is.
    static func make(_ disks: [VirtualDisk], _ connection: OpaquePointer) throws(HypervisorError) {
        for disk in disks {
            guard let image = disk.image else { continue }
            let (folder, file) = try split(disk.path)
            try withPool(folder, connection) { pool throws(HypervisorError) in
                if let volume = virStorageVolLookupByName(pool, file) {
                    virStorageVolFree(volume)
                    return
                }
                let size: ByteCount
                if let wanted = disk.size { size = wanted } else { size = try imageSize(image, connection) }
                let xml = XMLNode(
                    "volume",
                    [
                        XMLNode("name", text: file),
                        XMLNode("capacity", [("unit", "b")], text: String(size.bytes)),
                        XMLNode("target", [XMLNode("format", [("type", disk.format.rawValue)])]),
                        XMLNode(
                            "backingStore",
                            [
                                XMLNode("path", text: image),
                                XMLNode("format", [("type", (disk.imageFormat ?? .qcow2).rawValue)]),
                            ]),
                    ]
                ).written
                guard let volume = virStorageVolCreateXML(pool, xml, 0) else {
                    throw .last("making the overlay \(disk.path)")
                }
                virStorageVolFree(volume)
            }
        }
    }

    /// Writes a small file, in place of what has its name.
    static func write(_ content: [UInt8], to path: String, _ connection: OpaquePointer) throws(HypervisorError) {
        let (folder, file) = try split(path)
        try withPool(folder, connection) { pool throws(HypervisorError) in
            if let former = virStorageVolLookupByName(pool, file) {
                defer { virStorageVolFree(former) }
                guard virStorageVolDelete(former, 0) == 0 else { throw .last("replacing \(path)") }
            }
            let xml = XMLNode(
                "volume",
                [
                    XMLNode("name", text: file), XMLNode("capacity", [("unit", "b")], text: String(content.count)),
                    XMLNode("target", [XMLNode("format", [("type", "raw")])]),
                ]
            ).written
            guard let volume = virStorageVolCreateXML(pool, xml, 0) else { throw .last("making \(path)") }
            defer { virStorageVolFree(volume) }
            guard let stream = virStreamNew(connection, 0) else { throw .last("writing \(path)") }
            defer { virStreamFree(stream) }
            guard virStorageVolUpload(volume, stream, 0, UInt64(content.count), 0) == 0 else {
                throw .last("writing \(path)")
            }
            try send(content, stream, path)
        }
    }

    private static func send(_ content: [UInt8], _ stream: OpaquePointer, _ path: String) throws(HypervisorError) {
        var sent = 0
        while sent < content.count {
            // As much as libvirt puts into one message at most.
            let count = content.withUnsafeBytes { bytes in
                bytes.baseAddress.map {
                    virStreamSend(
                        stream, $0.advanced(by: sent).assumingMemoryBound(to: CChar.self),
                        min(content.count - sent, 262_120))
                } ?? -1
            }
            guard count > 0 else {
                let error = HypervisorError.last("writing \(path)")
                virStreamAbort(stream)
                throw error
            }
            sent += Int(count)
        }
        guard virStreamFinish(stream) == 0 else { throw .last("writing \(path)") }
    }

    /// What is not there any more counts as removed.
    static func remove(_ paths: [String], _ connection: OpaquePointer) throws(HypervisorError) {
        for path in paths {
            let (folder, file) = try split(path)
            try withPool(folder, connection) { pool throws(HypervisorError) in
                guard let volume = virStorageVolLookupByName(pool, file) else { return }
                defer { virStorageVolFree(volume) }
                guard virStorageVolDelete(volume, 0) == 0 else { throw .last("removing \(path)") }
            }
        }
    }

    /// More is no seed: cloud-init's documents are small.
    static let maximumSeedBytes = 4 << 20

    /// Puts the seeds among the files to where a virtual server goes.
    static func copySeeds(
        _ paths: [String], from domain: OpaquePointer, to destination: String
    ) throws(HypervisorError) {
        let seeds = paths.filter { $0.hasSuffix(DomainXML.seedSuffix) }
        guard !seeds.isEmpty, let source = virDomainGetConnect(domain) else { return }
        guard let connection = virConnectOpen(destination) else { throw .last("connecting to \(destination)") }
        defer { virConnectClose(connection) }
        for path in seeds { try write(try read(path, source), to: path, connection) }
    }

    private static func read(_ path: String, _ connection: OpaquePointer) throws(HypervisorError) -> [UInt8] {
        let (folder, file) = try split(path)
        var content: [UInt8] = []
        try withPool(folder, connection) { pool throws(HypervisorError) in
            guard let volume = virStorageVolLookupByName(pool, file) else { throw .last("looking for \(path)") }
            defer { virStorageVolFree(volume) }
            guard let stream = virStreamNew(connection, 0) else { throw .last("reading \(path)") }
            defer { virStreamFree(stream) }
            guard virStorageVolDownload(volume, stream, 0, 0, 0) == 0 else { throw .last("reading \(path)") }
            var piece = [CChar](repeating: 0, count: 65_536)
            while true {
                let count = virStreamRecv(stream, &piece, piece.count)
                if count == 0 { break }
                guard count > 0, content.count + Int(count) <= maximumSeedBytes else {
                    let error = HypervisorError.last("reading \(path)")
                    virStreamAbort(stream)
                    throw error
                }
                content += piece.prefix(Int(count)).map { UInt8(bitPattern: $0) }
            }
            guard virStreamFinish(stream) == 0 else { throw .last("reading \(path)") }
        }
        return content
    }

    /// libvirt makes the disks that it copies at the destination, where it knows a pool over their folder.
    static func prepareFolders(of paths: [String], at destination: String) throws(HypervisorError) {
        guard let connection = virConnectOpen(destination) else { throw .last("connecting to \(destination)") }
        defer { virConnectClose(connection) }
        for folder in Set(try paths.map { path throws(HypervisorError) in try split(path).folder }).sorted() {
            try withPool(folder, connection) { _ in }
        }
    }

    private static func imageSize(
        _ image: String, _ connection: OpaquePointer
    ) throws(HypervisorError) -> ByteCount {
        let (folder, file) = try split(image)
        var size: UInt64 = 0
        try withPool(folder, connection) { pool throws(HypervisorError) in
            guard let volume = virStorageVolLookupByName(pool, file) else {
                throw HypervisorError(.exhausted, "the host has no image \(image)")
            }
            defer { virStorageVolFree(volume) }
            var info = virStorageVolInfo()
            guard virStorageVolGetInfo(volume, &info) == 0 else { throw .last("reading the image \(image)") }
            size = info.capacity
        }
        return ByteCount(bytes: Int64(clamping: size))
    }

    private static func split(_ path: String) throws(HypervisorError) -> (folder: String, file: String) {
        guard path.hasPrefix("/"), let slash = path.lastIndex(of: "/"), path.index(after: slash) < path.endIndex
        else { throw HypervisorError(.failed, "'\(path)' is no absolute path of a file") }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }

    /// The host's pool over a folder, whoever made it; a transient one of our own where there is none.
    private static func withPool(
        _ folder: String, _ connection: OpaquePointer, _ body: (OpaquePointer) throws(HypervisorError) -> Void
    ) throws(HypervisorError) {
        let name = "cloudwright" + folder.replacing("/", with: "-")
        let xml = XMLNode(
            "pool", [("type", "dir")],
            [XMLNode("name", text: name), XMLNode("target", [XMLNode("path", text: folder)])]
        ).written
        let pool: OpaquePointer
        if let known = virStoragePoolLookupByTargetPath(connection, folder) {
            pool = known
        } else if let made = virStoragePoolCreateXML(
            connection, xml, VIR_STORAGE_POOL_CREATE_WITH_BUILD.rawValue)
        {
            pool = made
        } else {
            let error = HypervisorError.last("opening the folder \(folder) on the host")
            // Two that make it at the same time: one finds that of the other.
            guard let others = virStoragePoolLookupByName(connection, name) else { throw error }
            pool = others
        }
        defer { virStoragePoolFree(pool) }
        // Files that others made since are seen only after this.
        guard virStoragePoolRefresh(pool, 0) == 0 else { throw .last("reading the folder \(folder) on the host") }
        try body(pool)
    }
}
