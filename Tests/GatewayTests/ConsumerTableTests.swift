import CloudModel
import Credentials
import Gateway
import ScalingListener
import Testing

@Suite struct ConsumerTableTests {
    private let hash = SipHash(key0: 1, key1: 2)
    private let now = Timestamp(microseconds: 1_000_000)

    private func credential(_ key: String, expiresAt: Timestamp? = nil, revoked: Bool = false) -> APICredential {
        APICredential(
            id: CredentialID("id-\(key)"), prefix: String(key.prefix(6)), digest: KeyDigest(of: key).description,
            expiresAt: expiresAt, revoked: revoked)
    }

    private func snapshot(
        _ consumers: [CloudConsumer], services: [ConsumerAccess] = [.required], generation: UInt64 = 1
    ) -> DataPlaneSnapshot {
        DataPlaneSnapshot(
            generation: generation,
            services: services.enumerated().map { index, access in
                ServiceSnapshot(
                    service: CloudService(
                        id: ServiceID("s\(index)"), routes: [Route()], access: access, instances: .endpoints([])),
                    backends: [])
            },
            consumers: consumers)
    }

    private func identify(
        _ table: ConsumerTable, bearer: String? = nil, apiKey: String? = nil, service: Int = 0,
        cache: ConsumerCache = ConsumerCache(), at time: Timestamp? = nil
    ) -> IdentifiedCaller {
        let authorization = bearer.map { Array("Bearer \($0)".utf8) }
        let field = apiKey.map { Array($0.utf8) }
        return (authorization ?? []).withUnsafeBytes { authorizationBytes in
            (field ?? []).withUnsafeBytes { fieldBytes in
                table.identify(
                    PresentedKey(
                        authorization: authorization == nil ? nil : authorizationBytes,
                        apiKey: field == nil ? nil : fieldBytes),
                    service: service, now: time ?? now, cache: cache)
            }
        }
    }

    @Test func aKnownKeyIsItsConsumers() {
        var registry = ConsumerRegistry()
        let table = ConsumerTable(
            snapshot: snapshot([
                CloudConsumer(id: "acme", credentials: [credential("cw_one"), credential("cw_two")]),
                CloudConsumer(id: "globex", credentials: [credential("cw_three")]),
            ]), registry: &registry, hash: hash)
        let caller = identify(table, bearer: "cw_three")
        #expect(caller.verdict == .admitted)
        #expect(table.consumers[Int(caller.consumer.rawValue)] == "globex")
        #expect(table.credentials[Int(caller.credential)] == "id-cw_three")
        #expect(caller.source == .bearer)
        #expect(identify(table, apiKey: " cw_two\t").consumer == registry.key(of: "acme"))
        #expect(identify(table, apiKey: "cw_two").source == .apiKeyField)
    }

    @Test func refusals() {
        var registry = ConsumerRegistry()
        let table = ConsumerTable(
            snapshot: snapshot(
                [
                    CloudConsumer(
                        id: "acme", entitlements: ["s1"],
                        credentials: [
                            credential("cw_good"), credential("cw_old", expiresAt: now),
                            credential("cw_fresh", expiresAt: now + .microseconds(1)),
                            credential("cw_gone", revoked: true),
                        ])
                ], services: [.required, .required]), registry: &registry, hash: hash)
        #expect(identify(table, service: 1).verdict == .noCredential)
        #expect(identify(table, bearer: "cw_bad", service: 1).verdict == .unknownCredential)
        #expect(identify(table, bearer: "", service: 1).verdict == .unknownCredential)
        #expect(identify(table, bearer: "cw_old", service: 1).verdict == .expired)
        #expect(identify(table, bearer: "cw_fresh", service: 1).verdict == .admitted)
        #expect(identify(table, bearer: "cw_gone", service: 1).verdict == .revoked)
        #expect(identify(table, bearer: "cw_good", service: 0).verdict == .notEntitled)
        #expect(identify(table, bearer: "cw_good", service: 1).verdict == .admitted)
        #expect(identify(table, bearer: String(repeating: "k", count: 300), service: 1).verdict == .unknownCredential)
        #expect(identify(table, bearer: "cw_bad", service: 1).consumer == ConsumerRegistry.anonymous)
    }

    @Test func expiryIsJudgedAtEachRequest() {
        var registry = ConsumerRegistry()
        let cache = ConsumerCache()
        let table = ConsumerTable(
            snapshot: snapshot([
                CloudConsumer(id: "acme", credentials: [credential("cw_k", expiresAt: now + .seconds(1))])
            ]), registry: &registry, hash: hash)
        #expect(identify(table, bearer: "cw_k", cache: cache).verdict == .admitted)
        #expect(identify(table, bearer: "cw_k", cache: cache, at: now + .seconds(1)).verdict == .expired)
    }

    @Test func anonymousAccess() {
        var registry = ConsumerRegistry()
        let table = ConsumerTable(
            snapshot: snapshot(
                [CloudConsumer(id: "acme", credentials: [credential("cw_good")])], services: [.anonymous]),
            registry: &registry, hash: hash)
        #expect(identify(table).verdict == .admitted)
        #expect(identify(table).consumer == ConsumerRegistry.anonymous)
        #expect(identify(table, bearer: "cw_good").consumer == registry.key(of: "acme"))
        // A key that is presented must be good; another service's token is not a key.
        #expect(identify(table, bearer: "cw_bad").verdict == .unknownCredential)
        #expect(identify(table, apiKey: "bad").verdict == .unknownCredential)
        #expect(identify(table, bearer: "eyJhbGciOi").verdict == .admitted)
        #expect(identify(table, bearer: "eyJhbGciOi").credential < 0)
    }

    @Test func theKeyFieldCountsBeforeAuthorization() {
        var registry = ConsumerRegistry()
        let table = ConsumerTable(
            snapshot: snapshot([CloudConsumer(id: "acme", credentials: [credential("cw_good")])]),
            registry: &registry, hash: hash)
        let caller = identify(table, bearer: "some-token-of-the-service", apiKey: "cw_good")
        #expect(caller.verdict == .admitted && caller.source == .apiKeyField)
        #expect(identify(table, bearer: "cw_good", apiKey: "cw_bad").verdict == .unknownCredential)
    }

    @Test(arguments: ["Basic dTpw", "Bearer", "BearerX cw_good", "bearer\tcw_good", ""])
    func otherAuthorizationIsNoKey(_ value: String) {
        Array(value.utf8).withUnsafeBytes {
            #expect(PresentedKey(authorization: $0, apiKey: nil).source == .none)
        }
    }

    @Test func theSchemeIsReadInAnyCase() {
        Array("bEARER   cw_good ".utf8).withUnsafeBytes {
            #expect(PresentedKey(authorization: $0, apiKey: nil).bytes.elementsEqual("cw_good".utf8))
        }
    }

    @Test func entitlementsReachBeyondOneWord() {
        var registry = ConsumerRegistry()
        let services = [ConsumerAccess](repeating: .required, count: 200)
        let table = ConsumerTable(
            snapshot: snapshot(
                [
                    CloudConsumer(id: "a", entitlements: ["s63", "s64", "s199"], credentials: [credential("cw_a")]),
                    CloudConsumer(id: "b", credentials: [credential("cw_b")]),
                    CloudConsumer(id: "c", entitlements: [], credentials: [credential("cw_c")]),
                ], services: services), registry: &registry, hash: hash)
        for service in 0..<200 {
            let entitled = [63, 64, 199].contains(service)
            #expect((identify(table, bearer: "cw_a", service: service).verdict == .admitted) == entitled)
            #expect(identify(table, bearer: "cw_b", service: service).verdict == .admitted)
            #expect(identify(table, bearer: "cw_c", service: service).verdict == .notEntitled)
        }
    }

    /// What a loop remembers must not outlive the snapshot that it was true in.
    @Test func aNewSnapshotForgetsWhatTheCacheKnew() {
        var registry = ConsumerRegistry()
        let cache = ConsumerCache()
        let good = CloudConsumer(id: "acme", credentials: [credential("cw_k")])
        let first = ConsumerTable(snapshot: snapshot([good]), registry: &registry, hash: hash)
        #expect(identify(first, bearer: "cw_k", cache: cache).verdict == .admitted)
        let revoked = CloudConsumer(id: "acme", credentials: [credential("cw_k", revoked: true)])
        let second = ConsumerTable(snapshot: snapshot([revoked], generation: 2), registry: &registry, hash: hash)
        #expect(identify(second, bearer: "cw_k", cache: cache).verdict == .revoked)
        let third = ConsumerTable(snapshot: snapshot([], generation: 3), registry: &registry, hash: hash)
        #expect(identify(third, bearer: "cw_k", cache: cache).verdict == .unknownCredential)
        // A different credential at the same index must not be taken for the remembered one.
        let other = CloudConsumer(id: "globex", credentials: [credential("cw_other")])
        let fourth = ConsumerTable(snapshot: snapshot([other], generation: 4), registry: &registry, hash: hash)
        #expect(identify(fourth, bearer: "cw_k", cache: cache).verdict == .unknownCredential)
    }

    /// Many more keys than the cache holds: each still finds its own consumer.
    @Test func evictionLosesNobody() {
        var registry = ConsumerRegistry()
        let cache = ConsumerCache(capacity: 8)
        let table = ConsumerTable(
            snapshot: snapshot(
                (0..<300).map { CloudConsumer(id: ConsumerID("c\($0)"), credentials: [credential("cw_key\($0)")]) }),
            registry: &registry, hash: hash)
        for round in 0..<3 {
            for index in 0..<300 {
                let caller = identify(table, bearer: "cw_key\(index)", cache: cache)
                #expect(table.consumers[Int(caller.consumer.rawValue)] == ConsumerID("c\(index)"), "round \(round)")
            }
        }
    }

    @Test func aConsumerKeepsItsKeyForTheLifeOfTheProcess() {
        var registry = ConsumerRegistry()
        let a = CloudConsumer(id: "a", credentials: [credential("cw_a")])
        let b = CloudConsumer(id: "b", credentials: [credential("cw_b")])
        let first = ConsumerTable(snapshot: snapshot([b]), registry: &registry, hash: hash)
        let before = identify(first, bearer: "cw_b").consumer
        _ = ConsumerTable(snapshot: snapshot([a], generation: 2), registry: &registry, hash: hash)
        let third = ConsumerTable(snapshot: snapshot([a, b], generation: 3), registry: &registry, hash: hash)
        #expect(identify(third, bearer: "cw_b").consumer == before)
        #expect(third.consumers[Int(before.rawValue)] == "b")
        #expect(third.consumers[0] == .anonymous)
        #expect(third.placementHash(of: before) == first.placementHash(of: before))
    }

    @Test func aCredentialWithoutDigestAdmitsNobody() {
        var registry = ConsumerRegistry()
        let broken = APICredential(id: "x", prefix: "cw_x", digest: "not hex")
        let table = ConsumerTable(
            snapshot: snapshot([CloudConsumer(id: "a", credentials: [broken, credential("cw_a")])]),
            registry: &registry, hash: hash)
        #expect(table.credentials == ["id-cw_a"])
        #expect(identify(table, bearer: "cw_a").verdict == .admitted)
    }
}

@Suite struct SipHashTests {
    /// Input 00 01 02 …, key 00 01 … 0f; tags as `openssl mac -macopt size:16 SIPHASH` gives them.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"), (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"), (16, "6ee2a4ca67b054bbfd3315bf85230577"),
        (50, "a590d3ee4fbf04e3247e0d27f286423f"), (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
    func agreesWithTheReference(_ length: Int, _ expected: String) {
        let hash = SipHash(key0: 0x0706_0504_0302_0100, key1: 0x0F0E_0D0C_0B0A_0908)
        let input = (0..<length).map(UInt8.init)
        let tag = input.withUnsafeBytes { hash.tag(of: $0) }
        var hex = ""
        for word in [tag.low, tag.high] {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                let digits = String(UInt8(truncatingIfNeeded: word >> shift), radix: 16)
                hex += digits.count == 1 ? "0" + digits : digits
            }
        }
        #expect(hex == expected)
    }

    @Test func anotherKeyGivesAnotherTag() {
        var random = SeededGenerator(seed: 1)
        let first = SipHash(using: &random), second = SipHash(using: &random)
        Array("cw_key".utf8).withUnsafeBytes { #expect(first.tag(of: $0) != second.tag(of: $0)) }
    }
}
