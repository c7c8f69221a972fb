import CloudController
import CloudModel

/// Who was told what: once per incident, and again only after it was over.
struct AuditedTidings {
    private struct Limit {
        var lastRefusalAt: Int64
        /// Nothing between the last refusal and now makes it doubtful whether the incident goes on.
        var isCertain = true
        var wasRaised = false
        /// The controller has been restarted: it counts the quiet time anew.
        var wasRestarted = false
    }

    private var ids: Set<NotificationID> = []
    private var limits: [ServiceID: Limit] = [:]
    /// Told in this step.
    private var limitsToldNow: [ServiceID: Int] = [:]
    private var failuresToldNow: [InstanceID] = []
    private var breakersTold: Set<ServiceID> = []
    /// Instances that are up and meant to stay, since when.
    private var upSince: [InstanceID: Int64] = [:]
    /// Before the events of this step.
    private var upBefore: [InstanceID: Int64] = [:]
    /// Failures that were told and are not over, by instance.
    private var failuresTold: Set<InstanceID> = []
    private var openFailures: [String: InstanceID] = [:]

    /// The incident is over after a minute without refusals; around it, either is right.
    private static let surelyOpen: Int64 = 55_000_000
    private static let surelyOver: Int64 = 66_000_000
    /// An instance that has been up this long has no failure open any more.
    private static let surelyStable: Int64 = 13_000_000
    private static let surelyUnstable: Int64 = 8_000_000

    mutating func endStep() {
        limitsToldNow = [:]
        failuresToldNow = []
        upBefore = upSince
    }

    mutating func restarted() {
        for service in limits.keys { limits[service]?.wasRestarted = true }
        endStep()
        upSince = [:]
        upBefore = [:]
        // A closed incident is forgotten with the control plane; an open one is not.
        failuresTold = Set(openFailures.values)
    }

    mutating func jumped() {
        for service in limits.keys { limits[service]?.isCertain = false }
        upSince = [:]
        upBefore = [:]
    }

    mutating func commanded(_ command: ControllerCommand, _ configuration: CloudConfiguration) {
        switch command {
        case .configure:
            for service in limits.keys { limits[service]?.isCertain = false }
            breakersTold = []
        case .setConstraint(let service, .maximumInstances, let value):
            let old = configuration.services.first { $0.id == service }?.constraints.maximumInstances ?? 0
            if value ?? 0 > old { limits[service]?.wasRaised = true }
        case .setAdministrativeState(let instance, _, _), .restart(let instance, _):
            upSince[instance] = nil
            upBefore[instance] = nil
        case .setConstraint, .addCredential, .revokeCredential, .shutDown, .migrate, .abortMigration, .suspend,
            .resume, .confirmOff, .drainHost, .abortDrain, .activateHost, .rebalance,
            .abortRebalancing:
            break
        }
    }

    mutating func recorded(_ event: PlatformEvent, at now: Int64) {
        if event.kind == "breaker.closed", let service = event.service { breakersTold.remove(service) }
        guard let instance = event.instance else { return }
        switch event.kind {
        case "instance.up": upSince[instance] = now
        case "instance.draining", "instance.stopping", "instance.failed", "instance.down", "instance.removed",
            "instance.ended", "instance.replacing":
            upSince[instance] = nil
        default: break
        }
    }

    /// - Parameter age: how long the process of the incident's instance has really run; nil where it does not, or is
    /// not
    ///   ours.
    mutating func persisted(_ incident: Incident, _ claimed: ServiceInstance?, age: Int64?) -> Finding? {
        guard incident.kind == .implementationFailed, let instance = incident.instance else { return nil }
        guard incident.closedAt != nil else {
            openFailures[incident.id] = instance
            return nil
        }
        openFailures[incident.id] = nil
        failuresTold.remove(instance)
        guard claimed?.phase == .running, let age, age < Self.surelyUnstable else { return nil }
        return Finding(rule: "over-too-soon", what: "incident \(incident.id) is over after \(age) us")
    }

    mutating func told(_ notification: Notification, at now: Int64) -> Finding? {
        guard ids.insert(notification.id).inserted else {
            return Finding(rule: "told-twice", what: "notification \(notification.id) again")
        }
        guard notification.consumer == nil, let service = notification.service else { return nil }
        switch notification.kind {
        case "limit-reached": limitsToldNow[service, default: 0] += 1
        case "breaker-open":
            if !breakersTold.insert(service).inserted {
                return Finding(rule: "told-twice", what: "the open breaker of \(service) again")
            }
        case "failover": return failureTold(notification, at: now)
        default: break
        }
        return nil
    }

    /// Its id says of which instance: `failover/<instance>/…`.
    private mutating func failureTold(_ notification: Notification, at now: Int64) -> Finding? {
        let parts = notification.id.rawValue.split(separator: "/")
        guard parts.count > 1 else { return nil }
        let instance = InstanceID(String(parts[1]))
        failuresToldNow.append(instance)
        guard failuresTold.insert(instance).inserted else {
            return Finding(rule: "told-twice", what: "the failure of \(instance), which was never over, again")
        }
        return nil
    }

    /// A refusal at the present limit was processed: was the right thing said of it?
    mutating func refusalProcessed(_ event: LimitReached, _ service: CloudService?, at now: Int64) -> Finding? {
        guard let service, service.constraints[event.constraint] == event.limit else { return nil }
        let told = limitsToldNow[event.service] ?? 0
        defer { limits[event.service] = Limit(lastRefusalAt: now) }
        if told > 1 { return Finding(rule: "told-twice", what: "\(told) notifications of one refusal") }
        guard let limit = limits[event.service] else {
            return told == 1 ? nil : Finding(rule: "not-told", what: "the first refusal by \(event.service)")
        }
        guard limit.isCertain else { return nil }
        let quiet = now - limit.lastRefusalAt
        if limit.wasRaised {
            return told == 1 ? nil : Finding(rule: "not-told", what: "\(event.service) at its raised limit")
        }
        if quiet < Self.surelyOpen && told > 0 {
            return Finding(rule: "told-twice", what: "the limit of \(event.service) after \(quiet) us")
        }
        if quiet > Self.surelyOver && told == 0 && !limit.wasRestarted {
            return Finding(rule: "not-told", what: "the limit of \(event.service), over for \(quiet) us, is back")
        }
        return nil
    }

    /// The end of an instance that was up for good was processed: somebody must have been told.
    mutating func exitProcessed(_ id: InstanceID, _ claimed: ServiceInstance?, at now: Int64) -> Finding? {
        guard claimed?.administrative != .maintenance else { return nil }
        guard let up = upBefore[id], now - up > Self.surelyStable, !failuresToldNow.contains(id) else { return nil }
        guard upSince[id] == nil else { return nil }
        return Finding(rule: "not-told", what: "\(id) failed after \(now - up) us, and nobody was told")
    }
}
