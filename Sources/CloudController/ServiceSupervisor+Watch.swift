import CloudModel
import ScalingListener

/// Tells administrators of a service's load before a limit refuses consumers.
extension ServiceSupervisor {
    mutating func watchUtilisation(_ situation: ScalingListenerDecision.Situation, _ context: inout StepContext) {
        guard let watch = service.scaling.watch, let latest else {
            utilisation = LoadWatch()
            return
        }
        let observation = ScalingObservation(
            sample: latest, instances: situation.instances, constraints: service.constraints,
            settings: service.scaling, metrics: situation.metrics)
        guard let demand = observation.demand else { return }
        let percent = service.scaling.targetConcurrency == nil ? service.scaling.targetUtilisationPercent : 100
        let present = LoadWatch.Situation(
            demand: demand, ready: situation.instances - situation.starting, minimum: situation.minimum,
            ceiling: situation.ceiling, target: Double(min(max(percent, 1), 100)) / 100)
        for tiding in utilisation.observe(present, watch, at: context.steady) {
            switch tiding {
            case .began(let condition, let percent, let forecast):
                tell(condition, percent, forecast, situation, watch, &context)
            case .ended(let condition):
                context.record("load.over", service: id, "\(id): \(condition.rawValue) is over", [:])
            }
        }
    }

    private mutating func tell(
        _ condition: LoadWatch.Condition, _ percent: Int, _ forecast: LoadWatch.Forecast?,
        _ situation: ScalingListenerDecision.Situation, _ watch: ScalingWatch, _ context: inout StepContext
    ) {
        let title: String
        var body =
            "It has been at \(percent) % of what \(situation.instances) instances take "
            + "for \(watch.lasting.text). It is told again only after it was over."
        switch condition {
        case .aboveThreshold: title = "\(id) has more load than \(watch.abovePercent ?? 0) %"
        case .belowAllocation: title = "\(id) has less load than \(watch.belowPercent ?? 0) %"
        case .limitForecast:
            title = "\(id) will reach its maximum of \(situation.ceiling) instances"
            let (reachedIn, wanted) = (forecast?.reachedIn ?? .zero, forecast?.instances ?? situation.ceiling)
            let soon = reachedIn < .minutes(1) ? "within a minute" : "in \(reachedIn.inWholeMinutes)"
            body =
                "If the load goes on as in the last minutes, it reaches the maximum \(soon) and asks for \(wanted) "
                + "instances at the end of \(watch.limitForecast?.text ?? "")."
        }
        context.record(
            "load.watched", service: id, title,
            ["condition": condition.rawValue, "utilisationPercent": String(percent)])
        let notification = NotificationID("watch/\(id)/\(condition.rawValue)/\(context.now.microseconds)")
        context.write(
            .notify(
                Notification(
                    id: notification, at: context.now,
                    severity: condition == .belowAllocation ? .info : .warning, kind: condition.rawValue, service: id,
                    title: title, body: body, offer: offer(for: condition, forecast, situation))))
    }

    /// To raise the maximum, where it is, or will be, what stands in the way. One click never more than doubles it.
    private func offer(
        for condition: LoadWatch.Condition, _ forecast: LoadWatch.Forecast?,
        _ situation: ScalingListenerDecision.Situation
    ) -> ConstraintOffer? {
        let limit = service.constraints.maximumInstances
        switch condition {
        case .belowAllocation: return nil
        case .aboveThreshold where situation.instances < situation.ceiling: return nil
        case .aboveThreshold, .limitForecast:
            let wanted = min(max(forecast?.instances ?? 0, limit + 1), limit * 2)
            return ConstraintOffer(service: id, constraint: .maximumInstances, from: limit, to: max(wanted, limit + 1))
        }
    }
}

extension TimeSpan {
    fileprivate var inWholeMinutes: String {
        let minutes = microseconds / 60_000_000
        return minutes == 1 ? "1 minute" : "\(minutes) minutes"
    }
}
