extension CloudConfiguration {
    func checkBudget(of consumer: CloudConsumer, _ collector: inout FaultCollector) {
        let plan = pricePlans.first { $0.id == consumer.pricePlan }
        func checkAmount(_ amount: ExactDecimal, _ path: String) {
            guard let plan else {
                return collector.fault(
                    path, "an amount of money needs a price plan", "name one in spec.pricePlan, or remove it")
            }
            collector.require(
                amount > .zero && Money(amount, plan.currency) != nil, path,
                "'\(amount)' is no amount in \(plan.currency)",
                "give more than 0, with \(plan.currency.minorDigits) decimals at most")
        }
        if let budget = consumer.budget {
            checkAmount(budget.amount, "spec.budget.amount")
            let areGood =
                !budget.thresholds.isEmpty && budget.thresholds.count <= 10
                && budget.thresholds.allSatisfy { (1...1_000).contains($0) }
                && zip(budget.thresholds, budget.thresholds.dropFirst()).allSatisfy { $0 < $1 }
            collector.require(
                areGood, "spec.budget.thresholds", "\(budget.thresholds) are no thresholds",
                "give one to ten percentages from 1 to 1000, ascending: [50, 80, 100]")
        }
        if let quota = consumer.quota {
            collector.require(
                quota.requests != nil || quota.amount != nil, "spec.quota", "the quota limits nothing",
                "give requests, amount, or both; or remove it")
            if let requests = quota.requests {
                collector.require(
                    requests > 0, "spec.quota.requests", "\(requests) is out of range",
                    "give 1 or more; to let nobody in, revoke the credentials")
            }
            if let amount = quota.amount { checkAmount(amount, "spec.quota.amount") }
        }
    }
}
