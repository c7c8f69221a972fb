import CloudModel
import CloudPorts
import Foundation
import ImageFiles
import Synchronization
import Testing

/// Images as qemu-img makes them, over a real folder.
struct ImageFolderTests {
    private static let tool = ["/usr/bin/qemu-img", "/bin/qemu-img"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    private static let now = Timestamp(rfc3339: "2026-11-24T02:30:00Z")!

    /// A folder for images, and one beside it for what is sent.
    private final class Bench: Sendable {
        let root: URL
        let folder: ImageFolder
        var path: String { root.appending(path: "images").path }

        init(free: @escaping @Sendable (String) -> Int64 = { _ in 1 << 40 }) throws {
            root = FileManager.default.temporaryDirectory.appending(path: "images-\(UUID().uuidString)")
            folder = try ImageFolder(path: root.appending(path: "images").path, freeBytes: free)
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

        /// Sends it in uneven pieces.
        func take(
            _ content: Data, _ name: String, _ format: VirtualDisk.Format = .qcow2, sha256: String? = nil
        ) async throws -> StoredImage {
            let coming = try await folder.begin(name, format: format, size: Int64(content.count), sha256: sha256)
            do {
                var rest = content
                while !rest.isEmpty {
                    try await coming.write(Array(rest.prefix(10_007)))
                    rest = rest.dropFirst(10_007)
                }
                return try await coming.finish(by: "ops", at: ImageFolderTests.now)
            } catch {
                await coming.abandon()
                throw error
            }
        }

        func made(_ arguments: String..., by tool: String) throws -> Data {
            try #require(try ImageFolderTests.run(tool, arguments, in: root) == 0, "\(arguments)")
            return try Data(contentsOf: root.appending(path: "made"))
        }
    }

    private static func refusal(_ body: () async throws -> Void) async -> ImageRefusal? {
        do {
            try await body()
            return nil
        } catch { return error as? ImageRefusal }
    }

    @Test(.enabled(if: tool != nil, "there is no qemu-img (Debian package qemu-utils)"))
    func aWholeImageIsKeptListedAndRemoved() async throws {
        let bench = try Bench()
        let content = try bench.made("create", "-f", "qcow2", "made", "5G", by: Self.tool!)
        let image = try await bench.take(content, "debian-12")
        #expect(image.virtualSize == ByteCount(bytes: 5 << 30) && image.fileSize.bytes == Int64(content.count))
        #expect(image.path == "\(bench.path)/debian-12.qcow2" && image.importedBy == "ops")
        #expect(try Data(contentsOf: URL(filePath: image.path)) == content)
        #expect(try await bench.folder.list() == [image])
        // Given its own digest, and another's.
        let other = try await bench.take(content, "again", sha256: image.sha256.uppercased())
        #expect(other.sha256 == image.sha256)
        let wrong = await Self.refusal {
            _ = try await bench.take(content, "wrong", sha256: String(repeating: "0", count: 64))
        }
        #expect(wrong?.code == .invalid && wrong?.message.contains("SHA-256 is \(image.sha256)") == true)
        #expect(await Self.refusal { _ = try await bench.take(content, "again") }?.code == .conflict)
        // Another process that opens the folder sees the same.
        #expect(try await ImageFolder(path: bench.path).list().map(\.name) == ["again", "debian-12"])
        try await bench.folder.remove("debian-12")
        #expect(await Self.refusal { try await bench.folder.remove("debian-12") }?.code == .notFound)
        #expect(bench.files == ["again.json", "again.qcow2"])
    }

    @Test(.enabled(if: tool != nil, "there is no qemu-img (Debian package qemu-utils)"))
    func whatReachesOtherFilesIsRefused() async throws {
        let bench = try Bench()
        let tool = Self.tool!
        _ = try bench.made("create", "-f", "raw", "made", "1M", by: tool)
        try FileManager.default.moveItem(
            at: bench.root.appending(path: "made"), to: bench.root.appending(path: "secret"))
        let arguments: [([String], String)] = [
            (["-f", "qcow2", "-b", "secret", "-F", "raw", "made", "1M"], "backing file"),
            (["-f", "qcow2", "-o", "compat=0.10,backing_file=secret,backing_fmt=raw", "made", "1M"], "backing file"),
            (["-f", "qcow2", "-o", "data_file=data,data_file_raw=on", "made", "1M"], "data in another file"),
            (
                [
                    "--object", "secret,id=key,data=0123456789", "-f", "qcow2", "-o",
                    "encrypt.format=luks,encrypt.key-secret=key", "made", "1M",
                ], "encrypted"
            ), (["-f", "vmdk", "made", "1M"], "VMDK; convert it"), (["-f", "raw", "made", "1M"], "not in qcow2"),
        ]
        for (words, reason) in arguments {
            try? FileManager.default.removeItem(at: bench.root.appending(path: "made"))
            // For an encrypted one, qemu-img times itself by a clock that may stand still meanwhile, and then gives up.
            let isMade = try (1...50).contains { _ in try Self.run(tool, ["create"] + words, in: bench.root) == 0 }
            try #require(isMade, "\(words)")
            let content = try Data(contentsOf: bench.root.appending(path: "made"))
            let refused = await Self.refusal { _ = try await bench.take(content, "bad") }
            #expect(refused?.code == .invalid, "\(words)")
            #expect(refused?.message.contains(reason) == true, "\(words): \(refused as Any)")
        }
        #expect(bench.files == [])
    }

    private static func run(_ tool: String, _ arguments: [String], in folder: URL) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: tool)
        process.currentDirectoryURL = folder
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test(.enabled(if: tool != nil, "there is no qemu-img (Debian package qemu-utils)"))
    func whatIsDamagedIsRefused() async throws {
        let bench = try Bench()
        let content = try bench.made("create", "-f", "qcow2", "made", "1G", by: Self.tool!)
        // Where the header says that it ends, extensions begin.
        let end = Int(content[103])
        func changed(_ offset: Int, _ bytes: [UInt8]) -> Data {
            var copy = content
            copy.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            return copy
        }
        let cases: [(Data, String)] = [
            (content.prefix(60), "cut off"), (content.prefix(100_000), "cut off"), (Data(), "empty"),
            (changed(4, [0, 0, 0, 9]), "version"), (changed(20, [0, 0, 0, 60]), "damaged"),
            (changed(24, [255, 255, 255, 255]), "larger"), (changed(79, [2]), "repair it"),
            (changed(79, [1]), "repair it"), (changed(79, [32]), "not known here"),
            (changed(100, [255, 255, 255, 255]), "damaged"),
            (changed(40, [255, 255, 255, 255, 255, 255, 255, 255]), "cut off"),
            // An extension whose length leads out of the header.
            (changed(end, [1, 1, 1, 1, 255, 255, 255, 240]), "damaged"),
            (changed(end, [0x44, 0x41, 0x54, 0x41, 0, 0, 0, 4]), "data in another file"),
        ]
        for (damaged, reason) in cases {
            let refused = await Self.refusal { _ = try await bench.take(damaged, "bad") }
            #expect(refused?.code == .invalid, "\(reason)")
            #expect(refused?.message.contains(reason) == true, "\(reason): \(refused as Any)")
        }
        #expect(bench.files == [])
    }

    @Test func rawDisksHaveWholeSectorsAndNoOthersMagic() async throws {
        let bench = try Bench()
        let image = try await bench.take(Data(count: 1_024), "zero", .raw)
        #expect(image.virtualSize == ByteCount(bytes: 1_024) && image.path.hasSuffix("/zero.raw"))
        for (beginning, reason) in [
            ([0x51, 0x46, 0x49, 0xFB], "format=qcow2"), ([0x1F, 0x8B, 8], "unpack it first"),
            (Array("vhdxfile".utf8), "convert it"), ([0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE], "encrypted"),
        ] as [([UInt8], String)] {
            let content = Data(beginning) + Data(count: 512 - beginning.count)
            let refused = await Self.refusal { _ = try await bench.take(content, "bad", .raw) }
            #expect(refused?.message.contains(reason) == true, "\(refused as Any)")
        }
        #expect(await Self.refusal { _ = try await bench.take(Data(count: 513), "odd", .raw) }?.code == .invalid)
    }

    @Test func namesAndDigestsAreChecked() async throws {
        let bench = try Bench()
        for name in ["", "../x", "a/b", ".hidden", "-x", "ü", String(repeating: "a", count: 65)] {
            #expect(await Self.refusal { _ = try await bench.take(Data(count: 512), name, .raw) }?.code == .invalid)
        }
        for digest in ["", "zz", String(repeating: "g", count: 64)] {
            let refused = await Self.refusal {
                _ = try await bench.take(Data(count: 512), "image", .raw, sha256: digest)
            }
            #expect(refused?.code == .invalid)
        }
        #expect(bench.files == [])
    }

    @Test func aFullFileSystemIsSeenBeforeAndMeanwhile() async throws {
        let free = Mutex<Int64>((64 << 20) + 1_000)
        let bench = try Bench { _ in free.withLock { $0 } }
        #expect(await Self.refusal { _ = try await bench.take(Data(count: 1_024), "large", .raw) }?.code == .noRoom)
        free.withLock { $0 = 1 << 30 }
        let coming = try await bench.folder.begin("filling", format: .raw, size: nil, sha256: nil)
        try await coming.write([UInt8](repeating: 0, count: 16 << 20))
        free.withLock { $0 = 65 << 20 }
        let refused = await Self.refusal { try await coming.write([UInt8](repeating: 0, count: 2 << 20)) }
        #expect(refused?.code == .noRoom)
        await coming.abandon()
        #expect(bench.files == [])
    }

    @Test func importsAreFewAndLeaveNothingBehind() async throws {
        let bench = try Bench()
        var coming: [any ImageImport] = []
        for number in 0..<4 {
            coming.append(try await bench.folder.begin("image-\(number)", format: .raw, size: nil, sha256: nil))
        }
        let fifth = await Self.refusal { _ = try await bench.folder.begin("x", format: .raw, size: nil, sha256: nil) }
        #expect(fifth?.code == .conflict)
        await coming.removeLast().abandon()
        let same = await Self.refusal {
            _ = try await bench.folder.begin("image-0", format: .raw, size: nil, sha256: nil)
        }
        #expect(same?.code == .conflict)
        try await coming[0].write([UInt8](repeating: 0, count: 512))
        #expect(try await bench.folder.list().isEmpty)
        // As if the platform had ended meanwhile.
        #expect(try await ImageFolder(path: bench.path).list().isEmpty)
        #expect(bench.files == [])
        coming = []
    }
}
