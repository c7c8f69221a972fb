import CloudModel
import ConfigurationFile
import Testing

@Suite struct DifferenceTests {
    private func shown(_ differences: [ResourceDifference]) -> [String] {
        differences.flatMap { difference in
            ["\(difference.change.rawValue) \(difference.kind.rawValue) \(difference.name)"]
                + difference.fields.map { "  \($0)" }
        }
    }

    @Test func theSameIsNoDifference() {
        #expect(ConfigurationDocument.difference(from: Full.document, to: Full.document).isEmpty)
    }

    @Test func changedFieldsWithOldAndNew() {
        var new = Full.document
        let web = new.configuration.services.firstIndex { $0.id == "web" } ?? 0
        new.configuration.services[web].constraints.maximumInstances = 9
        new.configuration.services[web].constraints.queueLength = 1_000
        new.configuration.services[web].constraints.burstPerConsumer = nil
        new.configuration.services[web].healthCheck.probe = .tcp
        if case .process(var template) = new.configuration.services[web].instances {
            template.command = ["run", "{port}"]
            template.environment["B"] = "2"
            new.configuration.services[web].instances = .process(template)
        }
        #expect(
            shown(ConfigurationDocument.difference(from: Full.document, to: new)) == [
                "changed CloudService web",
                "  spec.process.command: [run, --port={port}, '', 'a b', #x, '- y', null, 1.10, 'it's \"quoted\"', é\n]"
                    + " -> [run, {port}] (for instances started from now on)",
                "  spec.process.environment.B: 1 -> 2 (for instances started from now on)",
                "  spec.constraints.maximumInstances: 7 -> 9",
                "  spec.constraints.queueLength: 9 -> 1000",
                "  spec.constraints.burstPerConsumer: 8 -> not set",
                "  spec.healthCheck.http.path: /h?x=1 -> not set",
                "  spec.healthCheck.http.status: 204 -> not set",
            ])
    }

    @Test func aPriceThatChangesIsShownByItsID() {
        var new = Full.document
        new.configuration.pricePlans[0].prices.removeFirst()
        new.configuration.pricePlans[0].prices[0].service = nil
        #expect(
            shown(ConfigurationDocument.difference(from: Full.document, to: new)) == [
                "changed PricePlan gold", "  spec.prices[base].id: base -> not set",
                "  spec.prices[base].model: flat -> not set", "  spec.prices[base].price: 5 -> not set",
                "  spec.prices[base].free: 0 -> not set", "  spec.prices[base].minimum: 0 -> not set",
                "  spec.prices[base].from: 1970-01-01T00:00:00.000001Z -> not set",
                "  spec.prices[hours].service: web -> not set",
            ])
    }

    @Test func createdAndRemovedResources() throws {
        let old = try Sample.parse(Sample.cloud + Sample.service("a")).configuration
        let new = try Sample.parse(
            Sample.cloud + Sample.service("b") + Sample.document("CloudConsumer", "acme", "displayName: Acme"))
        #expect(
            shown(ConfigurationDocument.difference(from: old, to: new.configuration)) == [
                "created CloudConsumer acme",
                "  spec.displayName: not set -> Acme",
                "removed CloudService a",
                "  spec.routes[0].path: / -> not set",
                "  spec.process.command: [run, {port}] -> not set (for instances started from now on)",
                "created CloudService b",
                "  spec.routes[0].path: not set -> /",
                "  spec.process.command: not set -> [run, {port}] (for instances started from now on)",
            ])
    }

    @Test func thePlatformsSettingsNeedARestart() {
        var new = Full.document
        new.settings.gateway.loops = nil
        new.settings.name = "other"
        new.configuration.administratorChannels = [.log]
        let differences = ConfigurationDocument.difference(from: Full.document, to: new)
        #expect(
            shown(differences) == [
                "changed Cloud other",
                "  metadata.name: full -> other (needs a restart of the platform)",
                "  spec.notifications: not set -> [log]",
                "  spec.gateway.loops: 3 -> not set (needs a restart of the platform)",
                "  spec.notifications[0].webhook.url: http://h -> not set",
            ])
        #expect(differences[0].effect == .atPlatformRestart)
    }

    @Test func credentialsAreToldApartByTheirIDs() {
        var new = Full.document
        new.configuration.consumers[0].credentials.insert(
            APICredential(id: "k0", prefix: "cw_0", digest: String(repeating: "b", count: 64)), at: 0)
        new.configuration.consumers[0].credentials[1].revoked = false
        let fields = ConfigurationDocument.difference(from: Full.document, to: new)[0].fields
        #expect(
            fields.map(\.path) == [
                "spec.credentials[k0].id", "spec.credentials[k0].prefix", "spec.credentials[k0].digest",
                "spec.credentials[k0].revoked", "spec.credentials[k1].revoked",
            ])
        #expect(fields.last?.description == "spec.credentials[k1].revoked: true -> false")
    }
}

@Suite struct MergingTests {
    private func consumer(_ credentials: [APICredential]) -> CloudConfiguration {
        CloudConfiguration(consumers: [CloudConsumer(id: "acme", credentials: credentials)])
    }

    private func credential(_ id: String, _ digit: String, revoked: Bool = false) -> APICredential {
        APICredential(
            id: CredentialID(id), prefix: "cw_", digest: String(repeating: digit, count: 64), revoked: revoked)
    }

    @Test func credentialsThatAFileDoesNotNameAreKept() {
        let merged = consumer([credential("file", "1")])
            .keepingCredentials(of: consumer([credential("made", "2"), credential("gone", "3", revoked: true)]))
        #expect(
            merged.consumers[0].credentials == [
                credential("file", "1"), credential("gone", "3", revoked: true), credential("made", "2"),
            ])
    }

    @Test func aFileChangesACredentialButNeverUnrevokesIt() {
        var changed = credential("a", "1")
        changed.expiresAt = Timestamp(microseconds: 1)
        let merged = consumer([changed]).keepingCredentials(of: consumer([credential("a", "1", revoked: true)]))
        #expect(merged.consumers[0].credentials.map(\.revoked) == [true])
        #expect(merged.consumers[0].credentials[0].expiresAt == Timestamp(microseconds: 1))
        // Nor does the same key under another name.
        let renamed = consumer([credential("b", "1")]).keepingCredentials(
            of: consumer([credential("a", "1", revoked: true)]))
        #expect(renamed.consumers[0].credentials == [credential("b", "1", revoked: true)])
    }

    @Test func aRemovedConsumersKeysGoWithIt() {
        #expect(CloudConfiguration().keepingCredentials(of: consumer([credential("a", "1")])).consumers.isEmpty)
    }
}
