package import CloudModel
package import CloudPorts

/// What the beginning of an image says of it, and whether a guest may be given it.
///
/// An image from elsewhere is a program for whoever opens it: a qcow2 that names a backing file or a data file shows
/// the guest any file that the hypervisor can read. So those are refused, and so is what would be taken for another
/// format than it is declared as. Nothing is guessed: the format is told.
///
/// Source: QEMU's specification of qcow2 (docs/interop/qcow2.txt).
package enum ImageHeader {
    /// All that is looked at.
    package static let examinedBytes = 65_536

    private static let qcow2Magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]
    /// Beginnings of what is no raw disk, with their names.
    private static let others: [([UInt8], String)] = [
        (qcow2Magic, "in qcow2; say that with format=qcow2"), (Array("KDMV".utf8), "in VMDK"),
        (Array("COWD".utf8), "in VMDK"), (Array("<<< ".utf8), "in VDI"), (Array("vhdxfile".utf8), "in VHDX"),
        (Array("conectix".utf8), "in VHD"), ([0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE], "encrypted (LUKS)"),
        ([0x1F, 0x8B], "compressed (gzip)"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "compressed (xz)"),
        ([0x28, 0xB5, 0x2F, 0xFD], "compressed (zstd)"), (Array("BZh".utf8), "compressed (bzip2)"),
        (Array("PK\u{3}\u{4}".utf8), "a ZIP archive"),
    ]
    private static let largestDisk = UInt64(64) << 40

    /// The size of the disk that a guest sees.
    /// - Parameters:
    ///   - beginning: the first `examinedBytes` of the file, or all of it.
    ///   - size: of the file.
    package static func virtualSize(
        _ beginning: [UInt8], size: Int64, format: VirtualDisk.Format
    ) throws(ImageRefusal) -> ByteCount {
        guard size > 0 else { throw ImageRefusal(.invalid, "the image is empty") }
        switch format {
        case .raw: return try raw(beginning, size)
        case .qcow2: return try qcow2(beginning, size)
        }
    }

    private static func raw(_ beginning: [UInt8], _ size: Int64) throws(ImageRefusal) -> ByteCount {
        if let other = others.first(where: { beginning.starts(with: $0.0) }) {
            throw ImageRefusal(.invalid, "the image is not raw: it is \(other.1)\(remedy(other.1))")
        }
        guard size.isMultiple(of: 512) else {
            throw ImageRefusal(.invalid, "the image has \(size) octets: a raw disk has whole sectors of 512")
        }
        return ByteCount(bytes: size)
    }

    private static func remedy(_ what: String) -> String {
        if what.hasPrefix("compressed") || what.hasSuffix("archive") { return "; unpack it first" }
        return what.hasPrefix("in V") ? "; convert it: qemu-img convert -O qcow2" : ""
    }

    private static func qcow2(_ beginning: [UInt8], _ size: Int64) throws(ImageRefusal) -> ByteCount {
        guard beginning.starts(with: qcow2Magic) else {
            let other = others.first { beginning.starts(with: $0.0) }
            throw ImageRefusal(
                .invalid, "the image is not in qcow2\(other.map { ": it is \($0.1)\(remedy($0.1))" } ?? "")")
        }
        let header = Fields(beginning)
        let version = header.number(4, 4)
        guard version == 2 || version == 3, beginning.count >= (version == 2 ? 72 : 104) else {
            throw ImageRefusal(.invalid, "the image is cut off, or its version of qcow2 (\(version)) is not 2 or 3")
        }
        guard header.number(8, 8) == 0, header.number(16, 4) == 0 else {
            throw ImageRefusal(
                .invalid,
                "the image names a backing file, through which a guest could read files of its host; merge the two: "
                    + "qemu-img convert -O qcow2 IMAGE WHOLE")
        }
        guard header.number(32, 4) == 0 else {
            throw ImageRefusal(.invalid, "the image is encrypted; nobody here has its key")
        }
        let clusterBits = header.number(20, 4)
        let disk = header.number(24, 8)
        guard (9...21).contains(clusterBits), disk > 0, disk <= largestDisk else {
            throw ImageRefusal(.invalid, "the image's header is damaged, or its disk is larger than 64 TiB")
        }
        if version == 3 { try features(header, beginning) }
        let tableEnd = header.number(40, 8).addingReportingOverflow(header.number(36, 4) * 8)
        guard !tableEnd.overflow, tableEnd.partialValue <= UInt64(size) else {
            throw ImageRefusal(.invalid, "the image is cut off: it has \(size) octets, less than its header tells of")
        }
        return ByteCount(bytes: Int64(disk))
    }

    private static func features(_ header: Fields, _ beginning: [UInt8]) throws(ImageRefusal) {
        let incompatible = header.number(72, 8)
        guard incompatible & 0b100 == 0 else { throw externalData }
        guard incompatible & 0b011 == 0 else {
            throw ImageRefusal(
                .invalid, "the image was not closed well or is damaged; repair it: qemu-img check -r all IMAGE")
        }
        guard incompatible & ~0b11000 == 0 else {
            throw ImageRefusal(.invalid, "the image uses features of qcow2 that are not known here")
        }
        var offset = Int(header.number(100, 4))
        guard offset >= 104, offset < beginning.count else {
            throw ImageRefusal(.invalid, "the image's header is damaged")
        }
        // Extensions: type, length, content up to a multiple of eight; ended by type 0.
        while offset + 8 <= beginning.count {
            let type = header.number(offset, 4)
            if type == 0 { return }
            if type == 0x4441_5441 { throw externalData }
            offset += 8 + Int((header.number(offset + 4, 4) + 7) & ~7)
        }
        throw ImageRefusal(.invalid, "the image's header is damaged")
    }

    private static let externalData = ImageRefusal(
        .invalid,
        "the image keeps its data in another file, through which a guest could read files of its host; make it whole: "
            + "qemu-img convert -O qcow2 IMAGE WHOLE")

    /// Numbers in network order; what is beyond the end is 0.
    private struct Fields {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func number(_ offset: Int, _ width: Int) -> UInt64 {
            guard offset + width <= bytes.count else { return 0 }
            return bytes[offset..<offset + width].reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}
