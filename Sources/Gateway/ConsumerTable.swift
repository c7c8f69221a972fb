package import CloudModel
package import Credentials
package import ScalingListener

/// What tells the certificate that a caller has shown, and that is trusted.
package struct PresentedCertificate {
    package let certificate: KeyDigest
    package let subject: KeyDigest

    package init(certificate: KeyDigest, subject: KeyDigest) {
        self.certificate = certificate
        self.subject = subject
    }
}

/// Who sent a request, and whether the service is for them.
package struct IdentifiedCaller: Hashable, Sendable {
    package enum Verdict: UInt8, Sendable, CaseIterable {
        case admitted
        /// The service asks for a key and there is none: 401.
        case noCredential
        /// No consumer has this key: 401.
        case unknownCredential
        /// 401.
        case expired
        /// 401.
        case revoked
        /// The key is good, but the consumer is not entitled to the service: 403.
        case notEntitled
    }

    package var verdict: Verdict
    /// The consumer's key in the `ConsumerRegistry`; `ConsumerRegistry.anonymous` where the caller is not known.
    package var consumer: ConsumerKey
    /// Index into `ConsumerTable.credentials`; below zero where no credential of ours was presented.
    package var credential: Int32
    /// Where the key was: that field is not to be forwarded to the instance when `credential >= 0`.
    package var source: PresentedKey.Source
}

/// The consumers and credentials of one snapshot, compiled: immutable, shared by all loops.
package final class ConsumerTable: @unchecked Sendable {
    package let generation: UInt64
    /// The names of all consumers that were ever known, by `ConsumerKey`, which mean the same in every later table.
    package let consumers: [ConsumerID]
    /// By index of credential.
    package let credentials: [CredentialID]

    private let hash: SipHash
    private let records: UnsafeMutableBufferPointer<CredentialRecord>
    /// Open addressing: indices into `records` by the first word of the digest, -1 where empty.
    private let slots: UnsafeMutableBufferPointer<Int32>
    /// A row of bits for each credential's consumer, a bit for each service.
    private let entitlements: UnsafeMutableBufferPointer<UInt64>
    private let wordsPerRow: Int
    /// By `ConsumerKey`.
    private let placementHashes: UnsafeMutableBufferPointer<UInt64>
    /// By `ConsumerKey`; empty as a rule.
    private let exhausted: [UInt32: QuotaRefusal]
    private let hasExhausted: Bool
    /// By service: whether callers without a key are let in.
    private let anonymousAccess: UnsafeMutableBufferPointer<Bool>
    /// By service: whose connections of TCP are by their addresses, the longest prefixes first.
    private let sources: [[CompiledSource]]

    private struct CredentialRecord {
        var digest: KeyDigest
        var kind: APICredential.Kind
        var consumer: ConsumerKey
        var entitlementRow: Int32
        var revoked: Bool
        /// In microseconds since the epoch; `Int64.max` for never.
        var expiresAt: Int64
    }

    private struct CompiledSource {
        var network: NetworkPrefix
        var consumer: ConsumerKey
        var isEntitled: Bool
    }

    /// Longer keys are nobody's: bounds what is hashed for a stranger.
    package static let longestKey = 256

    /// Credentials whose digest is not 64 hex digits admit nobody (the configuration's check refuses them before). A
    /// digest that two consumers share is the first consumer's, in order of their ids.
    package init(snapshot: DataPlaneSnapshot, registry: inout ConsumerRegistry, hash: SipHash) {
        generation = snapshot.generation
        self.hash = hash
        let services = snapshot.services.map(\.service)
        wordsPerRow = (services.count + 63) / 64
        var records: [CredentialRecord] = []
        var ids: [CredentialID] = []
        var rows: [UInt64] = []
        for (row, consumer) in snapshot.consumers.enumerated() {
            let key = registry.key(of: consumer.id)
            rows += Self.entitlementRow(of: consumer, services: services)
            for credential in consumer.credentials {
                guard let digest = KeyDigest(hex: credential.digest) else { continue }
                ids.append(credential.id)
                records.append(
                    CredentialRecord(
                        digest: digest, kind: credential.kind, consumer: key, entitlementRow: Int32(row),
                        revoked: credential.revoked,
                        expiresAt: credential.expiresAt?.microseconds ?? .max))
            }
        }
        var exhausted: [UInt32: QuotaRefusal] = [:]
        for quota in snapshot.exhausted {
            let key = UInt32(registry.key(of: quota.consumer).rawValue)
            // Of two, the one that lasts longer.
            if let other = exhausted[key], other.resetsAt >= quota.resetsAt { continue }
            exhausted[key] = QuotaRefusal(quota)
        }
        self.exhausted = exhausted
        hasExhausted = !exhausted.isEmpty
        consumers = registry.consumers
        placementHashes = .allocate(capacity: consumers.count)
        _ = placementHashes.initialize(fromContentsOf: consumers.map(Self.placementHash))
        credentials = ids
        self.records = .allocate(capacity: records.count)
        _ = self.records.initialize(fromContentsOf: records)
        entitlements = .allocate(capacity: rows.count)
        _ = entitlements.initialize(fromContentsOf: rows)
        anonymousAccess = .allocate(capacity: services.count)
        _ = anonymousAccess.initialize(fromContentsOf: services.map { $0.access == .anonymous })
        slots = Self.compiledSlots(records)
        sources = Self.compiledSources(snapshot, &registry)
    }

    private static func compiledSources(
        _ snapshot: DataPlaneSnapshot, _ registry: inout ConsumerRegistry
    ) -> [[CompiledSource]] {
        let consumers = Dictionary(snapshot.consumers.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        return snapshot.services.map { service in
            (service.service.tcp?.sources ?? []).compactMap { source in
                guard let network = NetworkPrefix(source.network), let consumer = consumers[source.consumer] else {
                    return nil
                }
                return CompiledSource(
                    network: network, consumer: registry.key(of: consumer.id),
                    isEntitled: consumer.entitlements?.contains(service.service.id) ?? true)
            }.sorted { $0.network.length > $1.network.length }
        }
    }

    /// Whose a connection to the service of TCP with index `service` is: a consumer's certificate counts before the
    /// address that the connection comes from.
    package func identify(
        _ certificate: PresentedCertificate?, from address: IPAddressBits?, service: Int, now: Timestamp
    ) -> IdentifiedCaller {
        var caller = IdentifiedCaller(
            verdict: .admitted, consumer: ConsumerRegistry.anonymous, credential: -1, source: .none)
        if let certificate, let index = credential(of: certificate) {
            judge(index, service: service, now: now, &caller)
        } else if let address, let source = sources[service].first(where: { $0.network.contains(address) }) {
            caller.consumer = source.consumer
            if !source.isEntitled { caller.verdict = .notEntitled }
        } else if !anonymousAccess[service] {
            caller.verdict = certificate == nil ? .noCredential : .unknownCredential
        }
        return caller
    }

    deinit {
        records.deallocate()
        slots.deallocate()
        entitlements.deallocate()
        anonymousAccess.deallocate()
        placementHashes.deallocate()
    }

    /// The consumer's quota that is used up, until it is reset; nil as a rule.
    @inline(__always)
    package func exhaustedQuota(of consumer: ConsumerKey, at now: Timestamp) -> QuotaRefusal? {
        guard hasExhausted, let quota = exhausted[UInt32(consumer.rawValue)], now < quota.resetsAt else { return nil }
        return quota
    }

    /// Places the consumer under consistent hashing: the same in every process (FNV-1a of the name).
    package func placementHash(of consumer: ConsumerKey) -> UInt64 { placementHashes[Int(consumer.rawValue)] }

    private static func placementHash(of consumer: ConsumerID) -> UInt64 {
        var hash = FNV1a()
        hash.add(consumer.rawValue.utf8)
        return hash.value
    }

    private static func entitlementRow(of consumer: CloudConsumer, services: [CloudService]) -> [UInt64] {
        var row = [UInt64](repeating: 0, count: (services.count + 63) / 64)
        let entitled = consumer.entitlements.map { Set($0) }
        for (index, service) in services.enumerated() where entitled?.contains(service.id) ?? true {
            row[index / 64] |= 1 << UInt64(index % 64)
        }
        return row
    }

    private static func compiledSlots(_ records: [CredentialRecord]) -> UnsafeMutableBufferPointer<Int32> {
        var capacity = 8
        while capacity < records.count * 2 { capacity *= 2 }
        let slots = UnsafeMutableBufferPointer<Int32>.allocate(capacity: capacity)
        slots.initialize(repeating: -1)
        for (index, record) in records.enumerated() {
            var slot = Int(truncatingIfNeeded: record.digest.words[0]) & (capacity - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = Int32(index)
        }
        return slots
    }

    /// Who presents `key` to the service with index `service`. Allocates nothing when `cache` knows the key.
    ///
    /// A service with anonymous access takes a bearer token that is not of this platform's form for its own, and its
    /// caller for anonymous; one that asks for keys refuses it. A key of this platform's form counts before a
    /// certificate, which lets a known machine act for others.
    package func identify(
        _ key: PresentedKey, certificate: PresentedCertificate? = nil, service: Int, now: Timestamp,
        cache: ConsumerCache
    ) -> IdentifiedCaller {
        var caller = IdentifiedCaller(
            verdict: .admitted, consumer: ConsumerRegistry.anonymous, credential: -1, source: key.source)
        let anonymousMayPass = anonymousAccess[service]
        if let certificate, !key.claimsToBeAPIKey {
            caller.source = .none
            if let index = credential(of: certificate) {
                judge(index, service: service, now: now, &caller)
                return caller
            }
            if key.source == .none {
                caller.verdict = anonymousMayPass ? .admitted : .unknownCredential
                return caller
            }
            caller.source = key.source
        }
        if key.source == .none || (anonymousMayPass && !key.claimsToBeAPIKey) {
            caller.verdict = anonymousMayPass ? .admitted : .noCredential
            return caller
        }
        guard let index = credential(of: key.bytes, cache: cache) else {
            caller.verdict = .unknownCredential
            return caller
        }
        judge(index, service: service, now: now, &caller)
        return caller
    }

    private func judge(_ index: Int32, service: Int, now: Timestamp, _ caller: inout IdentifiedCaller) {
        let record = records[Int(index)]
        caller.credential = index
        caller.consumer = record.consumer
        if record.revoked {
            caller.verdict = .revoked
        } else if now.microseconds >= record.expiresAt {
            caller.verdict = .expired
        } else if !isEntitled(row: Int(record.entitlementRow), service: service) {
            caller.verdict = .notEntitled
        }
    }

    private func isEntitled(row: Int, service: Int) -> Bool {
        entitlements[row * wordsPerRow + service / 64] >> UInt64(service % 64) & 1 == 1
    }

    private func credential(of key: UnsafeRawBufferPointer, cache: ConsumerCache) -> Int32? {
        guard key.count > 0, key.count <= Self.longestKey else { return nil }
        let tag = hash.tag(of: key)
        if let known = cache.credential(for: tag, generation: generation) { return known }
        guard let found = credential(.apiKey, with: KeyDigest(of: key)) else { return nil }
        cache.remember(found, for: tag)
        return found
    }

    private func credential(of presented: PresentedCertificate) -> Int32? {
        credential(.certificate, with: presented.certificate) ?? credential(.certificate, with: presented.subject)
    }

    private func credential(_ kind: APICredential.Kind, with digest: KeyDigest) -> Int32? {
        var slot = Int(truncatingIfNeeded: digest.words[0]) & (slots.count - 1)
        while slots[slot] >= 0 {
            let record = records[Int(slots[slot])]
            if record.kind == kind, record.digest == digest { return slots[slot] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }
}
