extension ScalingBehavior {
    /// What cannot be followed; the paths begin at the behaviour itself. `name`: of the service, for the faults.
    package func faults(of name: String = "") -> [ConfigurationFault] {
        var collector = FaultCollector(.service, name)
        check(&collector, "")
        return collector.faults
    }

    func check(_ collector: inout FaultCollector, _ path: String) {
        if let scaleUp { scaleUp.check(&collector, path + "scaleUp") }
        if let scaleDown { scaleDown.check(&collector, path + "scaleDown") }
    }
}

extension ScalingRules {
    /// As for a HorizontalPodAutoscaler, but for windows of up to a day.
    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        let window = self.window.microseconds / 1_000_000
        collector.check(Int(clamping: window), in: 0...86_400, "\(path).stabilizationWindowSeconds")
        collector.require(
            !limits.isEmpty, "\(path).policies", "there is no policy, so nothing could ever change",
            "give one, for example {type: Pods, value: 4, periodSeconds: 15}; to stop this direction write "
                + "selectPolicy: Disabled")
        collector.require(limits.count <= 16, "\(path).policies", "there are \(limits.count)", "give 16 at most")
        for (index, limit) in limits.enumerated() {
            let place = "\(path).policies[\(index)]"
            collector.check(limit.value, in: 1...1_000_000, "\(place).value")
            let period = Int(clamping: limit.period.microseconds / 1_000_000)
            collector.check(period, in: 1...1_800, "\(place).periodSeconds")
        }
    }
}
