import AdministrationAPI
import AdministrationClient
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Glibc
import Testing

/// Images over the API; what an image may be is tested where they are kept. One test after another: an import holds the
/// thread that it is called on, and the server needs one.
@Suite(.serialized) struct ImageTests {
    private static func digest(_ text: String) -> String { String(repeating: text, count: 64) }

    @Test("an image is sent in any pieces, listed, kept while it is used, and removed")
    func life() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let client = try AdministrationClient(server: live.address, token: live.tokens[.operator])
            let content = [UInt8](repeating: 7, count: 1 << 19)
            var image: API.Image?
            for (name, size) in [("known", Int64?.some(Int64(content.count))), ("piped", nil)] {
                let file = try Self.file(content)
                defer { close(file) }
                var sent: Int64 = 0
                image = try client.importImage(name, format: .raw, sha256: nil, from: file, size: size) { sent = $0 }
                #expect(sent == Int64(content.count))
                #expect(image?.fileBytes == Int64(content.count) && image?.virtualBytes == image?.fileBytes)
                #expect(image?.importedBy == "test-operator" && image?.usedBy == [])
            }
            let kept = try #require(image)
            #expect(try Data(contentsOf: URL(filePath: kept.path)) == Data(content))
            #expect(try await client.images().map(\.name) == ["known", "piped"])
            let events = try await live.send("GET", "/api/v1/events?kind=image").value(API.Page<API.Event>.self).items
            #expect(events.map(\.kind) == ["image.imported", "image.imported"])
            #expect(events.last?.details["sha256"] == kept.sha256 && events.last?.actor == "test-operator")

            var configuration = await live.cloud.configuration()
            configuration.services.append(Self.user(of: kept.path))
            try await live.cloud.apply(configuration, actor: "test")
            #expect(try await client.images().map(\.usedBy) == [[], ["disks"]])
            let refused = try await live.send("DELETE", "/api/v1/images/piped", as: .operator)
            #expect(refused.status == 409 && refused.problem?.detail.contains("'disks'") == true)
            try await client.removeImage("known")
            #expect(try await client.images().map(\.name) == ["piped"])
        }
    }

    @Test("an image stays while a virtual server of an earlier declaration has an overlay over it")
    func overlaysOfBefore() async throws {
        try await LiveServer.run { live in
            let client = try AdministrationClient(server: live.address, token: live.tokens[.operator])
            let file = try Self.file([UInt8](repeating: 7, count: 512))
            defer { close(file) }
            let image = try client.importImage("old", format: .raw, sha256: nil, from: file, size: 512)
            // Its service is declared over another image by now, or not at all.
            var server = Samples.virtualServer
            server.placement.images = ["/srv/other.qcow2", image.path]
            await live.cloud.setHosts([Samples.host], [server])
            #expect(try await client.images().map(\.usedBy) == [["shop"]])
            let refused = try await live.send("DELETE", "/api/v1/images/old", as: .operator)
            #expect(refused.status == 409)
            #expect(refused.problem?.detail.contains("'shop-1' are overlays over 'old'") == true)
            server.placement.images = ["/srv/other.qcow2"]
            await live.cloud.setHosts([Samples.host], [server])
            try await client.removeImage("old")
            #expect(try await client.images().isEmpty)
        }
    }

    @Test("what does not fit its digest, its format, or what is sent at all is refused in words, and leaves nothing")
    func refusals() async throws {
        try await LiveServer.run { live in
            let client = try AdministrationClient(server: live.address, token: live.tokens[.operator])
            func send(
                _ content: [UInt8], format: API.ImageFormat = .raw, sha256: String? = nil, isPiped: Bool = false
            ) throws -> API.Problem? {
                let file = try Self.file(content)
                defer { close(file) }
                do {
                    _ = try client.importImage(
                        "bad", format: format, sha256: sha256, from: file,
                        size: isPiped ? nil : Int64(content.count))
                    return nil
                } catch ClientError.refused(let problem) { return problem }
            }
            let sector = [UInt8](repeating: 0, count: 512)
            #expect(try send(sector, sha256: Self.digest("0"))?.detail.contains("SHA-256 is") == true)
            #expect(try send(sector, sha256: "nonsense")?.status == 400)
            #expect(try send(sector, format: .qcow2)?.detail.contains("not in qcow2") == true)
            #expect(try send(sector + [1])?.detail.contains("sectors") == true)
            #expect(try send([UInt8](repeating: 0, count: 3 << 20))?.status == 413)
            // Seen only when there is more than there may be.
            #expect(try send([UInt8](repeating: 0, count: 3 << 20), isPiped: true)?.status == 413)
            #expect(try await client.images().isEmpty)
            let auditor = try AdministrationClient(server: live.address, token: live.tokens[.auditor])
            let file = try Self.file(sector)
            defer { close(file) }
            #expect(throws: ClientError.self) {
                try auditor.importImage("bad", format: .raw, sha256: nil, from: file, size: 512)
            }
        }
    }

    private static func file(_ content: [UInt8]) throws -> Int32 {
        let path = FileManager.default.temporaryDirectory.appending(path: "image-\(UUID().uuidString)").path
        try Data(content).write(to: URL(filePath: path))
        defer { unlink(path) }
        return open(path, O_RDONLY)
    }

    private static func user(of image: String) -> CloudService {
        CloudService(
            id: "disks", owner: nil, routes: [Route(pathPrefix: "/disks")], access: .anonymous,
            instances: .virtualServer(
                VirtualServerTemplate(
                    flavor: VirtualServerFlavor(memory: .mebibytes(64)),
                    disks: [VirtualDisk(path: "/srv/{instance}.qcow2", image: image, imageFormat: .raw)],
                    addresses: AddressRange(first: 1, last: 2, prefixLength: 24), port: 80)),
            constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 1))
    }
}
