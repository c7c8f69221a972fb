package import CloudModel

/// cloud-init's NoCloud documents as the image of a small CD: ISO 9660 with the names in lower case and a Joliet tree
/// beside it, so that every reader finds `user-data`, `meta-data` and `network-config`. The volume is called `cidata`,
/// which is how cloud-init knows it.
///
/// Source: ECMA-119 (ISO 9660), Joliet Specification of 1995, cloud-init's documentation of the NoCloud data source.
/// Times are left out, so that the same documents always make the same image.
package enum SeedImage {
    private static let sectorSize = 2_048
    private static let volumeName = "cidata"
    private static let firstTable = 19
    /// Boot area, primary and Joliet descriptor with their end, four path tables, two root directories.
    private static let rootSectors = (primary: 23, joliet: 24)
    private static let firstFile = 25

    package static func made(_ seed: CloudInitSeed) -> [UInt8] {
        var files = [
            (name: "meta-data", content: Array(seed.metaData.utf8)),
            (name: "user-data", content: Array(seed.userData.utf8)),
        ]
        if let network = seed.networkConfig {
            files.insert((name: "network-config", content: Array(network.utf8)), at: 1)
        }
        var sector = firstFile
        var entries: [Entry] = []
        for file in files {
            entries.append(Entry(name: file.name, sector: sector, size: file.content.count))
            sector += sectors(file.content.count)
        }
        var image = [UInt8](repeating: 0, count: 16 * sectorSize)
        image += descriptor(joliet: false, sectors: sector)
        image += descriptor(joliet: true, sectors: sector)
        image += padded([255] + Array("CD001".utf8) + [1])
        for (root, isBigEndian) in [
            (rootSectors.primary, false), (rootSectors.primary, true), (rootSectors.joliet, false),
            (rootSectors.joliet, true),
        ] {
            image += padded(pathTable(root: root, isBigEndian: isBigEndian))
        }
        image += directory(entries, at: rootSectors.primary, joliet: false)
        image += directory(entries, at: rootSectors.joliet, joliet: true)
        for file in files { image += padded(file.content) }
        return image
    }

    private struct Entry {
        var name: String
        var sector: Int
        var size: Int
    }

    private static func sectors(_ bytes: Int) -> Int { max(1, (bytes + sectorSize - 1) / sectorSize) }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: sectors(bytes.count) * sectorSize - bytes.count)
    }

    // MARK: Numbers and names, in the forms of ECMA-119, sections 7.2 and 7.3

    private static func little(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    private static func big(_ value: Int, _ width: Int) -> [UInt8] { little(value, width).reversed() }
    private static func both(_ value: Int, _ width: Int) -> [UInt8] { little(value, width) + big(value, width) }

    private static func name(_ text: String, joliet: Bool) -> [UInt8] {
        joliet ? text.utf16.flatMap { big(Int($0), 2) } : Array(text.utf8)
    }

    /// A name filled up with spaces.
    private static func field(_ text: String, _ width: Int, joliet: Bool) -> [UInt8] {
        var bytes = name(text, joliet: joliet)
        let space = name(" ", joliet: joliet)
        while bytes.count + space.count <= width { bytes += space }
        return bytes + [UInt8](repeating: 0, count: width - bytes.count)
    }

    // MARK: Parts

    private static func descriptor(joliet: Bool, sectors: Int) -> [UInt8] {
        let root = joliet ? rootSectors.joliet : rootSectors.primary
        let table = firstTable + (joliet ? 2 : 0)
        let noTime = Array("0000000000000000".utf8) + [0]
        var bytes: [UInt8] = [joliet ? 2 : 1] + Array("CD001".utf8) + [1, 0]
        bytes += field("", 32, joliet: joliet)
        bytes += field(volumeName, 32, joliet: joliet)
        bytes += [UInt8](repeating: 0, count: 8)
        bytes += both(sectors, 4)
        // Joliet's level 3 says by this escape sequence that names are in UCS-2.
        bytes += joliet ? Array("%/E".utf8) + [UInt8](repeating: 0, count: 29) : [UInt8](repeating: 0, count: 32)
        bytes += both(1, 2) + both(1, 2) + both(sectorSize, 2) + both(10, 4)
        bytes += little(table, 4) + little(0, 4) + big(table + 1, 4) + big(0, 4)
        bytes += record([0], sector: root, size: sectorSize, isDirectory: true)
        // Volume set, publisher, preparer, application; then three file names.
        for width in [128, 128, 128, 128, 37, 37, 37] { bytes += field("", width, joliet: joliet) }
        bytes += noTime + noTime + noTime + noTime
        return padded(bytes + [1])
    }

    private static func pathTable(root: Int, isBigEndian: Bool) -> [UInt8] {
        let number = isBigEndian ? big : little
        return [1, 0] + number(root, 4) + number(1, 2) + [0, 0]
    }

    private static func directory(_ entries: [Entry], at sector: Int, joliet: Bool) -> [UInt8] {
        let own = record([0], sector: sector, size: sectorSize, isDirectory: true)
        let parent = record([1], sector: sector, size: sectorSize, isDirectory: true)
        return padded(
            own + parent
                + entries.flatMap {
                    record(name($0.name, joliet: joliet), sector: $0.sector, size: $0.size, isDirectory: false)
                })
    }

    /// ECMA-119, section 9.1.
    private static func record(_ name: [UInt8], sector: Int, size: Int, isDirectory: Bool) -> [UInt8] {
        // No extended attributes, and no time.
        var bytes: [UInt8] = [0] + both(sector, 4) + both(size, 4) + [UInt8](repeating: 0, count: 7)
        bytes += [isDirectory ? 2 : 0, 0, 0] + both(1, 2) + [UInt8(name.count)] + name
        bytes += name.count.isMultiple(of: 2) ? [0] : []
        // The length of the record, in its first byte.
        return [UInt8(bytes.count + 1)] + bytes
    }
}
