import CloudModel
import ScalingListener

/// Learns from the load which policy a service is best scaled by, where its configuration names none.
extension ServiceSupervisor {
    /// What the demand is measured in, without spaces: a history of another measure is of no use.
    private var measureOfDemand: String {
        let constraints = service.constraints
        let parts = [
            "\(service.scaling.targetConcurrency ?? constraints.concurrentRequestsPerInstance ?? 0)r",
            "\(constraints.activeConsumersPerInstance ?? 0)c",
        ]
        return (parts + service.scaling.metrics.map { "\($0.name)=\($0.targetPerInstance)" }).joined(separator: "/")
    }

    /// Where there is something to decide. What latency asks for depends on how many there were, so it says nothing of
    /// what another policy would have met.
    private var learns: Bool {
        service.scaling.policy == nil && service.scaling.learns && !needsLatency
            && service.constraints.minimumInstances < service.constraints.maximumInstances
    }

    /// Shows the sample; gives what is wished for, if anything is by now.
    mutating func learn(
        _ situation: ScalingListenerDecision.Situation, _ context: inout StepContext
    ) -> DemandWish? {
        guard learns, let latest else {
            learned = nil
            return nil
        }
        // A missing metric makes the demand look small.
        guard service.scaling.metrics.allSatisfy({ situation.metrics[$0.name] != nil }) else { return learned?.wish }
        let observation = ScalingObservation(
            sample: latest, instances: situation.instances, constraints: service.constraints,
            settings: service.scaling, metrics: situation.metrics)
        guard let demand = observation.demand else { return nil }
        if learned?.measure != measureOfDemand { begin(context) }
        learned?.observe(demand, at: context.now)
        context.replayed(learned?.catchUp(context.minutesToReplay) ?? 0)
        saveHistory(&context)
        if let choice = learned?.takeChange() { tell(choice, &context) }
        return learned?.wish
    }

    private mutating func begin(_ context: StepContext) {
        let history = DemandHistory(measure: measureOfDemand, stored: storedHistory, now: context.now)
        storedHistory = []
        let percent = service.scaling.targetConcurrency == nil ? service.scaling.targetUtilisationPercent : 100
        learned = LearnedScaling(
            history: history, target: Double(percent) / 100, minimum: service.constraints.minimumInstances)
    }

    mutating func saveHistory(isLast: Bool = false, _ context: inout StepContext) {
        guard let day = learned?.takeUnsaved(isLast: isLast) else { return }
        context.write(.persistDemand(id, place: day.place, day.text))
    }

    private func tell(_ choice: TournamentPolicy.Choice, _ context: inout StepContext) {
        context.record(
            "scaling.policy.chosen", service: id, "\(id) is scaled by \(choice.name) from now on: \(choice.reason)",
            ["policy": choice.name, "before": choice.before, "reason": choice.reason])
    }
}
