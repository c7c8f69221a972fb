import CloudModel

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
        if kind == .targetTracking, settings.warmUpSeconds != ScalingPolicySettings.usualWarmUp.inSeconds {
            lines.append("    warmUp: \(TimeSpan.microseconds(Int64(settings.warmUpSeconds * 1_000_000)).text)")
        }
        if kind == .horizontal { lines += behavior(of: result) }
        if kind != .tournament { lines.append("  # measured with: \(result.name)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What was asked for, or else the window that the name says.
    private func behavior(of result: ReplayResult) -> [String] {
        var behavior = settings.behavior ?? ScalingBehavior()
        let words = result.name.split(separator: " ")
        if behavior.scaleDown == nil, let place = words.firstIndex(of: "window"), place + 1 < words.count,
            let window = TimeSpan(parsing: String(words[place + 1])), window != ScalingRules.usualScaleDown.window
        {
            behavior.scaleDown = ScalingRules(ScalingRules.usualScaleDown.limits, window: window)
        }
        let sections = [("scaleUp", behavior.scaleUp), ("scaleDown", behavior.scaleDown)]
        let lines = sections.flatMap { name, rules in rules.map { Self.lines(name, $0) } ?? [] }
        return lines.isEmpty ? [] : ["    behavior:"] + lines
    }

    private static func lines(_ name: String, _ rules: ScalingRules) -> [String] {
        [
            "      \(name):", "        stabilizationWindowSeconds: \(rules.window.microseconds / 1_000_000)",
            "        selectPolicy: \(rules.selection.rawValue)", "        policies:",
        ]
            + rules.limits.map {
                "        - {type: \($0.kind.rawValue), value: \($0.value), "
                    + "periodSeconds: \($0.period.microseconds / 1_000_000)}"
            }
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
