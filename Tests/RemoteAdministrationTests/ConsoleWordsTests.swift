import AdministrationAPI
import CloudModel
import Console
import Testing

/// The console's views against what the administration API can tell them.
@Suite struct ConsoleWordsTests {
    /// What the views ask words for, by the group of the texts. A case that the API gets later needs words as well:
    /// the page would show the API's own in either language.
    private static let enumerations: [(group: String, cases: [String])] = [
        ("anomaly", cases(API.UsageAnomalyKind.self)), ("billLine", cases(API.BillLineKind.self)),
        ("cause", cases(API.DifferenceCause.self)), ("constraint", cases(API.ConstraintKind.self)),
        ("credential", cases(API.CredentialKind.self)), ("failoverMode", cases(API.FailoverMode.self)),
        ("failoverRole", cases(API.FailoverRole.self)), ("finding", cases(API.UsageFinding.self)),
        ("findingWhat", cases(API.UsageFinding.self)), ("hostPhase", cases(API.HostPhase.self)),
        ("mechanism", cases(API.Mechanism.self)), ("migrationMode", cases(API.MigrationMode.self)),
        ("outcome", cases(API.RequestOutcome.self)), ("phase", cases(API.InstancePhase.self)),
        ("policy", cases(ScalingPolicySettings.Kind.self)), ("role", cases(API.Role.self)),
        ("serverPhase", cases(API.VirtualServerPhase.self)), ("severity", cases(API.Severity.self)),
        ("state", cases(API.AdministrativeState.self)), ("state", cases(API.LoginOutcome.self)),
        ("state", cases(API.OperationalState.self)), ("state", cases(API.OperationState.self)),
    ]

    private static func cases<Words: CaseIterable & RawRepresentable<String>>(_: Words.Type) -> [String] {
        Words.allCases.map(\.rawValue)
    }

    @Test("whatever the API can say of a state or kind has words", arguments: ["en", "zh"])
    func enumerationsHaveWords(language: String) throws {
        let assets = ConsoleAsset.all.values.filter { $0.name.hasPrefix("text-\(language)") }
        let text = assets.map { String(decoding: $0.bytes, as: UTF8.self) }.joined()
        let known = Set(text.matches(of: /(?m)^  "([^"]+)":/).map { String($0.1) })
        let wanted = Self.enumerations.flatMap { group, cases in cases.map { "\(group).\($0)" } }
        // The steps of a mechanism have words as well.
        let steps = API.Mechanism.allCases.map { "step.\($0.rawValue).1" }
        let missing = (wanted + steps).filter { !known.contains($0) }
        #expect(missing == [], "these have no words")
    }
}
