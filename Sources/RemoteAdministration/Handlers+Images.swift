import AdministrationAPI
import CloudModel
import CloudPorts
import NIOCore

extension RouteTable {
    private static let imageList = NamedList<API.Image>(
        name: \.name, words: { [$0.name, $0.path] + $0.usedBy },
        columns: [
            "format": { .text($0.format.rawValue) }, "fileBytes": { SortValue($0.fileBytes) },
            "virtualBytes": { SortValue($0.virtualBytes) }, "importedBy": { .text($0.importedBy) },
            "importedAt": { SortValue($0.importedAt) },
        ])

    static let images: [Route] = [
        Route(
            name: "listImages", method: .get, path: "/api/v1/images", right: .read,
            summary: "Lists the images that disks of virtual servers may be overlays over.",
            query: imageList.parameters,
            answer: .json(API.Page<API.Image>.self, "Images, by name if no other order is asked for.")
        ) { handlers, call in
            let (items, next) = try imageList.part(of: try await handlers.storedImages(), call.query)
            return .json(API.Page(items: items, nextCursor: next))
        },
        Route(
            name: "importImage", method: .post, path: "/api/v1/images", right: .operate,
            summary: "Takes an image as it comes, checks it and keeps it. One that names other files (backing file, "
                + "external data file) is refused.",
            query: [
                QueryParameter("name", "What it is to be called; required."),
                .oneOf("format", API.ImageFormat.self, "What it is written in; qcow2 if not given."),
                QueryParameter("sha256", "The SHA-256 digest that it has to have, in hex."),
            ],
            body: Route.RequestBody(
                schema: .object(["type": "string", "format": "binary"]), mediaTypes: ["application/octet-stream"],
                limitInBytes: 0, isStreamed: true),
            answer: .json(API.Image.self, "It can be used.", status: 201), refusals: [409, 507]
        ) { try await $0.importImage($1) },
        Route(
            name: "removeImage", method: .delete, path: "/api/v1/images/{image}", right: .operate,
            summary: "Removes an image that no service's disks are declared over.",
            answer: .noContent("It is removed.")
        ) { try await $0.removeImage($1) },
    ]
}

extension Handlers {
    fileprivate func storedImages() async throws -> [API.Image] {
        guard let images else { return [] }
        let users = await imageUsers()
        do { return try await images.list().map { API.Image($0, usedBy: users[$0.path] ?? []) } } catch {
            throw API.Problem(error)
        }
    }

    /// Services by the path of an image that their disks are declared over, or were when a virtual server of theirs
    /// was started that is still there.
    private func imageUsers() async -> [String: [String]] {
        var users: [String: Set<String>] = [:]
        for service in await administration.configuration().services {
            guard case .virtualServer(let template) = service.instances else { continue }
            for path in template.disks.compactMap(\.image) { users[path, default: []].insert(service.id.rawValue) }
        }
        for server in await administration.virtualServers() {
            for path in server.placement.images ?? [] {
                users[path, default: []].insert(server.identity.service.rawValue)
            }
        }
        return users.mapValues { $0.sorted() }
    }

    /// Instances whose virtual servers have overlays over it, running or not: also those of a declaration of before.
    private func overlays(of image: API.Image) async -> [String] {
        await administration.virtualServers().filter { $0.placement.images?.contains(image.path) ?? false }
            .map(\.identity.instance.rawValue).sorted()
    }

    private func refuseToRemoveIfUsed(_ image: API.Image) async throws(API.Problem) {
        func quoted(_ names: [String]) -> String {
            names.prefix(10).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 10 ? " and others" : "")
        }
        let layered = await overlays(of: image)
        guard layered.isEmpty else {
            throw API.Problem.conflict(
                "The disks of \(quoted(layered)) are overlays over '\(image.name)', whatever is declared by now; "
                    + "declare another image, apply, and restart these instances first.")
        }
        let users = await imageUsers()[image.path] ?? []
        guard users.isEmpty else {
            throw API.Problem.conflict(
                "Disks of \(quoted(users)) are declared over '\(image.name)'; change them first.")
        }
    }

    private func requireImages() throws(API.Problem) -> any ImageStore {
        guard let images else {
            throw .conflict(
                "There is no folder for images; name one that the hosts see under the same path as spec.imageDirectory "
                    + "of the document of kind Cloud, and restart the platform.")
        }
        return images
    }

    func importImage(_ call: Call) async throws -> Reply {
        guard let name = call.query.text("name") else {
            throw API.Problem.invalid("'name' is missing in the query: what is the image to be called?")
        }
        let store = try requireImages()
        let format = call.query.text("format").flatMap(VirtualDisk.Format.init) ?? .qcow2
        let image: StoredImage
        do {
            let coming = try await store.begin(
                name, format: format, size: call.headers["content-length"].flatMap { Int64($0) },
                sha256: call.query.text("sha256"))
            do {
                image = try await take(call, into: coming)
                try await record(
                    "image.imported", "\(call.actor) imported the image \(name)", call,
                    ["image": name, "sha256": image.sha256, "bytes": String(image.fileSize.bytes)])
            } catch {
                await coming.abandon()
                throw error
            }
        } catch let refusal as ImageRefusal { throw API.Problem(refusal) }
        return .json(API.Image(image, usedBy: []), status: 201)
    }

    /// The next piece is asked for once the last one is written.
    private func take(_ call: Call, into coming: any ImageImport) async throws -> StoredImage {
        var count: Int64 = 0
        if let upload = call.upload {
            for try await piece in upload {
                count += Int64(piece.readableBytes)
                guard count <= settings.maximumImageBytes else {
                    throw API.Problem.tooLarge(limit: Int(settings.maximumImageBytes))
                }
                try await coming.write(Array(piece.readableBytesView))
            }
        }
        return try await coming.finish(by: call.actor, at: now())
    }

    func removeImage(_ call: Call) async throws -> Reply {
        let name = call.placeholder("image")
        guard let image = try await storedImages().first(where: { $0.name == name }) else {
            throw API.Problem.notFound("There is no image '\(name)'; see `cloudwright image list`.")
        }
        // No configuration comes in between that begins to use it.
        try await lane.run {
            try await refuseToRemoveIfUsed(image)
            try await record("image.removed", "\(call.actor) removed the image \(name)", call, ["image": name])
            do { try await requireImages().remove(name) } catch let refusal as ImageRefusal {
                throw API.Problem(refusal)
            }
        }
        return .noContent
    }
}

extension API.Image {
    init(_ image: StoredImage, usedBy: [String]) {
        self.init(
            name: image.name, format: API.ImageFormat(rawValue: image.format.rawValue) ?? .raw, path: image.path,
            fileBytes: image.fileSize.bytes, virtualBytes: image.virtualSize.bytes, sha256: image.sha256,
            importedAt: Moment(image.importedAt), importedBy: image.importedBy, usedBy: usedBy)
    }
}

extension API.Problem {
    init(_ refusal: ImageRefusal) {
        self =
            switch refusal.code {
            case .notFound: .notFound(refusal.message)
            case .invalid: .invalid(refusal.message)
            case .conflict: .conflict(refusal.message)
            case .noRoom: .noRoom(refusal.message)
            case .failed: .failed(refusal.message)
            }
    }
}
