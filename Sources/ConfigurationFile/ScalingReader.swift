import CloudModel
import Yams

/// Reads `spec.scaling` of a service.
struct ScalingReader {
    let spec: SectionReader

    func settings() -> ScalingSettings {
        let defaults = ScalingSettings()
        guard let section = spec.subsection("scaling", ConfigurationSchema.scaling) else { return defaults }
        return ScalingSettings(
            targetUtilisationPercent: section.integer("targetUtilisationPercent") ?? defaults.targetUtilisationPercent,
            targetConcurrency: section.integer("targetConcurrency"),
            scaleOutCooldown: section.duration("scaleOutCooldown") ?? defaults.scaleOutCooldown,
            scaleInStabilisation: section.duration("scaleInStabilisation") ?? defaults.scaleInStabilisation,
            tolerancePercent: section.integer("tolerancePercent") ?? defaults.tolerancePercent,
            policy: scalingPolicy(section), learns: section.boolean("learning") ?? defaults.learns,
            metrics: metrics(section), schedules: schedules(section), watch: watch(section),
            warmPool: warmPool(section),
            vertical: section.choice("vertical", VerticalScaling.self) ?? defaults.vertical,
            isDryRun: section.boolean("dryRun") ?? defaults.isDryRun)
    }

    private func scalingPolicy(_ scaling: SectionReader) -> ScalingPolicySettings? {
        guard let section = scaling.subsection("policy", ConfigurationSchema.scalingPolicy) else { return nil }
        _ = section.requiredValue("kind", remedy: "name a policy, for example kind: horizontal")
        guard let kind = section.choice("kind", ScalingPolicySettings.Kind.self) else { return nil }
        let defaults = ScalingPolicySettings(kind: kind)
        return ScalingPolicySettings(
            kind: kind,
            decisionInterval: section.duration("decisionInterval") ?? defaults.decisionInterval,
            startupTime: section.duration("startupTime") ?? defaults.startupTime,
            missBudgetPerMille: section.integer("missBudgetPerMille") ?? defaults.missBudgetPerMille,
            warmUp: section.duration("warmUp") ?? defaults.warmUp,
            behavior: section.subsection("behavior", ConfigurationSchema.scalingBehavior).map(Self.behavior))
    }

    static func behavior(_ section: SectionReader) -> ScalingBehavior {
        ScalingBehavior(
            scaleUp: section.subsection("scaleUp", ConfigurationSchema.scaleUpRules).map { rules($0, .usualScaleUp) },
            scaleDown: section.subsection("scaleDown", ConfigurationSchema.scaleDownRules)
                .map { rules($0, .usualScaleDown) })
    }

    private static func rules(_ section: SectionReader, _ usual: ScalingRules) -> ScalingRules {
        ScalingRules(
            section.items("policies")?.compactMap { limit($0.node, $0.path, section.context) } ?? usual.limits,
            selection: section.choice("selectPolicy", ScalingRules.Selection.self) ?? usual.selection,
            window: section.integer("stabilizationWindowSeconds").map { .seconds(Int64($0)) } ?? usual.window)
    }

    private static func limit(_ node: Node, _ path: String, _ context: ReadingContext) -> ScalingRules.Limit? {
        guard let section = SectionReader(node, ConfigurationSchema.scalingLimit, path: path, context: context)
        else { return nil }
        _ = section.requiredValue("type", remedy: "say what it counts: type: Pods, or type: Percent")
        _ = section.requiredValue("value", remedy: "say how many: value: 4")
        _ = section.requiredValue("periodSeconds", remedy: "say in how many seconds: periodSeconds: 15")
        guard let kind = section.choice("type", ScalingRules.Limit.Kind.self), let value = section.integer("value"),
            let period = section.integer("periodSeconds")
        else { return nil }
        return ScalingRules.Limit(kind, value, period: .seconds(Int64(period)))
    }

    private func metrics(_ scaling: SectionReader) -> [ScalingMetric] {
        (scaling.items("metrics") ?? []).compactMap { item in
            SectionReader(
                item.node, ConfigurationSchema.scalingMetric, path: item.path, context: scaling.context
            ).flatMap(metric)
        }
    }

    /// Which keys a kind has, beside `metric`.
    private static func keys(of kind: ScalingMetric.Kind) -> [String] {
        switch kind {
        case .custom: ["name", "targetPerInstance"]
        case .processor: ["targetPercent"]
        case .latency: ["target", "percentile"]
        case .requests, .concurrency, .queueLength: ["targetPerInstance"]
        }
    }

    private func metric(_ section: SectionReader) -> ScalingMetric? {
        if section.has("metric"), section.choice("metric", ScalingMetric.Kind.self) == nil { return nil }
        let kind = section.choice("metric", ScalingMetric.Kind.self) ?? .custom
        for key in ["name", "targetPerInstance", "targetPercent", "target", "percentile"]
        where section.has(key) && !Self.keys(of: kind).contains(key) {
            guard let node = section.value(key) else { continue }
            section.context.fault(
                "\(kind.rawValue) has no \(key)", at: node, path: section.pathOf(key),
                remedy: "give \(Self.keys(of: kind).joined(separator: " and "))")
        }
        switch kind {
        case .custom:
            guard let name = section.requiredText("name", remedy: "name the metric: name: jobs-waiting"),
                let target = perInstance(section)
            else { return nil }
            return ScalingMetric(name: name, targetPerInstance: target)
        case .processor:
            return ScalingMetric(
                .processor,
                target: section.integer("targetPercent") ?? ScalingSettings().targetUtilisationPercent)
        case .latency:
            guard section.requiredValue("target", remedy: "say how long requests may take: target: 200ms") != nil,
                let target = section.duration("target")
            else { return nil }
            return ScalingMetric(
                .latency, target: Int(target.microseconds),
                percentile: section.integer("percentile") ?? ScalingMetric.usualPercentile)
        case .requests, .concurrency, .queueLength: return perInstance(section).map { ScalingMetric(kind, target: $0) }
        }
    }

    private func perInstance(_ section: SectionReader) -> Int? {
        section.requiredValue("targetPerInstance", remedy: "say what one instance takes of it") == nil
            ? nil : section.integer("targetPerInstance")
    }

    private func schedules(_ scaling: SectionReader) -> [ScalingSchedule] {
        (scaling.items("schedules") ?? []).compactMap { item in
            guard
                let section = SectionReader(
                    item.node, ConfigurationSchema.scalingSchedule, path: item.path, context: scaling.context)
            else { return nil }
            let days = section.choices("days", ScalingSchedule.Day.self)
            let from = timeOfDay("from", section)
            let until = timeOfDay("until", section)
            guard section.requiredValue("minimumInstances", remedy: "say how many there are at least") != nil,
                let from, let until, let minimum = section.integer("minimumInstances")
            else { return nil }
            return ScalingSchedule(days: days ?? [], from: from, until: until, minimumInstances: minimum)
        }
    }

    private func timeOfDay(_ key: String, _ section: SectionReader) -> TimeOfDay? {
        let remedy = "give a time of day in UTC: \(key): \"08:00\""
        return section.requiredValue(key, remedy: remedy) == nil ? nil : section.timeOfDay(key)
    }

    private func warmPool(_ scaling: SectionReader) -> WarmPool? {
        guard let section = scaling.subsection("warmPool", ConfigurationSchema.warmPool) else { return nil }
        let remedy = "say how many wait: instances: 1"
        guard section.requiredValue("instances", remedy: remedy) != nil,
            let instances = section.integer("instances")
        else { return nil }
        return WarmPool(instances: instances, parked: section.choice("parked", ParkedState.self))
    }

    private func watch(_ scaling: SectionReader) -> ScalingWatch? {
        guard let section = scaling.subsection("watch", ConfigurationSchema.scalingWatch) else { return nil }
        return ScalingWatch(
            abovePercent: section.integer("abovePercent"), belowPercent: section.integer("belowPercent"),
            lasting: section.duration("lasting") ?? ScalingWatch().lasting,
            limitForecast: section.duration("limitForecast"))
    }
}
