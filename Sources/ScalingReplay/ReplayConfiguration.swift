extension ReplayComparison {
    /// What to write in the service's document to scale it as `result` was scaled. A parameter that the document has no
    /// key for is said in a comment. Empty where no document can have it.
    public func configuration(of result: ReplayResult) -> String {
        guard let kind = result.kind else { return "" }
        var lines = ["scaling:"]
        if let target = Self.target(of: result) { lines.append("  targetUtilisationPercent: \(target)") }
        lines += [
            "  policy:", "    kind: \(kind.rawValue)", "    decisionInterval: \(Int(settings.decisionSeconds))s",
            "    startupTime: \(Int(settings.startupSeconds))s",
            "    missBudgetPerMille: \(max(1, Int((settings.missBudget * 1_000).rounded())))",
        ]
        if kind != .tournament { lines.append("  # measured with: \(result.name)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// In percent, as its name says it; nil for a kind that aims at none.
    private static func target(of result: ReplayResult) -> Int? {
        switch result.kind {
        case .horizontal, .targetTracking, .step, .panicWindow, .seasonal:
            result.name.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        default: nil
        }
    }

    /// Instance-hours a day, from what the replay took.
    public static func instanceHoursPerDay(_ result: ReplayResult, stepSeconds: Double) -> Double {
        let days = Double(result.steps) * stepSeconds / 86_400
        return days > 0 ? result.instanceHours / days : 0
    }
}
