package import AdministrationAPI
package import CloudModel
import CloudPorts

extension Moment {
    init(_ time: Timestamp) { self.init(rfc3339: time.rfc3339) }
}

extension Timestamp {
    /// A time that a caller gave; `field` says where, if it is none.
    init?(_ moment: Moment?, field: String) throws(API.Problem) {
        guard let moment else { return nil }
        guard let time = Timestamp(rfc3339: moment.rfc3339) else {
            throw .invalid(
                "The body is not as documented.",
                faults: [API.Fault(detail: "give a time as 2026-11-24T02:30:00Z", pointer: "/\(field)")])
        }
        self = time
    }
}

extension WireEnumeration {
    /// The same word on the wire. Every case of the model's type has one; a test goes through them all.
    init<Model: RawRepresentable<String>>(_ value: Model) {
        guard let word = Self(rawValue: value.rawValue) else {
            preconditionFailure("\(Self.self) has no word '\(value.rawValue)'")
        }
        self = word
    }
}

extension API.RequestOutcome {
    package init(_ outcome: RequestOutcome) {
        self =
            switch outcome {
            case .completed: .completed
            case .abortedByConsumer: .abortedByConsumer
            case .abortedByInstance: .abortedByInstance
            case .failed: .failed
            case .rejected: .rejected
            case .tunnel: .tunnel
            case .tunnelContinued: .tunnelContinued
            }
    }
}

extension API.Constraints {
    init(_ model: WorkloadConstraints) {
        self.init(
            minimumInstances: model.minimumInstances, maximumInstances: model.maximumInstances,
            concurrentRequestsPerInstance: model.concurrentRequestsPerInstance,
            activeConsumersPerInstance: model.activeConsumersPerInstance,
            consumerHoldMilliseconds: model.consumerHold.millisecondsRoundedUp,
            concurrentRequestsPerConsumer: model.concurrentRequestsPerConsumer,
            requestsPerSecondPerConsumer: model.requestsPerSecondPerConsumer,
            burstPerConsumer: model.burstPerConsumer, queueLength: model.queueLength,
            queueTimeoutMilliseconds: model.queueTimeout.millisecondsRoundedUp,
            maximumWaitMilliseconds: model.maximumWait.millisecondsRoundedUp)
    }
}

extension API.Load {
    init(_ sample: LoadSample) {
        self.init(
            at: Moment(sample.at), requestsInFlight: sample.requestsInFlight, requestsQueued: sample.requestsQueued,
            activeConsumers: sample.activeConsumers, consumersWaiting: sample.consumersWaiting,
            admitted: sample.admitted, rejected: sample.rejected, completed: sample.completed,
            requestsInFlightByInstance: Dictionary(
                uniqueKeysWithValues: sample.perInstance.map { ($0.key.rawValue, $0.value) }))
    }
}

extension API.Instance {
    init(_ model: ServiceInstance) {
        self.init(
            id: model.id.rawValue, service: model.service.rawValue, phase: .init(model.phase),
            operational: .init(model.operational), administrative: .init(model.administrative),
            role: .init(model.role), incarnation: model.incarnation, endpoint: model.endpoint?.description,
            processID: model.handle?.processID, requestedAt: Moment(model.requestedAt),
            upSince: model.upSince.map(Moment.init))
    }
}

extension API.Service {
    /// - Parameter isBrief: without its instances.
    init(_ listed: ListedService, groups: [FailoverGroup], isBrief: Bool) {
        let model = listed.service
        let source: API.InstanceSource =
            switch model.instances {
            case .process: .process
            case .virtualServer: .virtualServer
            case .endpoints: .endpoints
            }
        self.init(
            id: model.id.rawValue, owner: model.owner?.rawValue, access: .init(model.access), source: source,
            algorithm: model.loadBalancing.algorithm.rawValue,
            routes: model.routes.map { API.Route(host: $0.host, pathPrefix: $0.pathPrefix) },
            listen: model.tcp?.listener.endpoint.description, constraints: API.Constraints(model.constraints),
            failoverGroup: groups.first { $0.service == model.id }?.id.rawValue,
            load: listed.load.map(API.Load.init), condition: listed.condition,
            instancesPresent: listed.present, instancesUp: listed.up,
            instances: isBrief ? [] : listed.instances.sorted { $0.id < $1.id }.map(API.Instance.init))
    }
}

extension API.FailoverGroup {
    init(_ model: FailoverGroup, instances: [ServiceInstance]) {
        self.init(
            id: model.id.rawValue, service: model.service.rawValue, mode: .init(model.mode),
            standbys: model.standbys, standbyReadiness: .init(model.standbyReadiness),
            recoveryAttempts: model.recoveryAttempts,
            instances: instances.filter { $0.service == model.service }.sorted { $0.id < $1.id }
                .map(API.Instance.init))
    }
}

extension API.Operation {
    init(_ model: CloudModel.Operation) {
        self.init(
            id: model.id.rawValue, kind: model.kind, actor: model.actor, service: model.service?.rawValue,
            instance: model.instance?.rawValue, host: model.host?.rawValue,
            progress: model.progress.map {
                API.OperationProgress(done: $0.done, total: $0.total, waiting: $0.waiting)
            }, state: .init(model.state), startedAt: Moment(model.startedAt),
            endedAt: model.endedAt.map(Moment.init), failure: model.failure)
    }
}

extension API.Credential {
    init(_ model: APICredential) {
        self.init(
            id: model.id.rawValue, prefix: model.prefix, expiresAt: model.expiresAt.map(Moment.init),
            revoked: model.revoked)
    }
}

extension API.Consumer {
    init(_ model: CloudConsumer) {
        let contacts = model.contacts.map { channel in
            switch channel {
            case .log: "log"
            case .webhook(let url, _): "webhook:\(url)"
            case .email(let address): "email:\(address)"
            }
        }
        self.init(
            id: model.id.rawValue, displayName: model.displayName, contacts: contacts,
            entitlements: model.entitlements?.map(\.rawValue), credentials: model.credentials.map(API.Credential.init))
    }
}

extension API.Administrator {
    init(_ model: Administrator) {
        self.init(
            name: model.name, role: .init(model.role), consumer: model.consumer?.rawValue,
            createdAt: Moment(model.createdAt), expiresAt: model.expiresAt.map(Moment.init))
    }
}

extension API.Session {
    init(_ identity: Identity) {
        self.init(
            name: identity.name, role: .init(identity.role), consumer: identity.consumer?.rawValue,
            expiresAt: identity.expiresAt.map(Moment.init))
    }
}

extension API.Event {
    package init(_ model: PlatformEvent) {
        self.init(
            position: model.position, at: Moment(model.at), kind: model.kind, service: model.service?.rawValue,
            instance: model.instance?.rawValue, consumer: model.consumer?.rawValue, actor: model.actor,
            step: model.step.map {
                API.StepReference(mechanism: .init($0.mechanism), incident: $0.incident, number: $0.number)
            },
            summary: model.summary, details: model.details)
    }
}

extension API.Incident {
    init(_ model: IncidentSummary) {
        self.init(
            id: model.id, kind: model.kind, service: model.service.rawValue, instance: model.instance?.rawValue,
            constraint: model.constraint.map { .init($0) }, consumers: model.consumers.map(\.rawValue),
            openedAt: Moment(model.openedAt))
    }
}

extension API.ConstraintOffer {
    init(_ model: ConstraintOffer) {
        self.init(
            service: model.service.rawValue, constraint: .init(model.constraint), from: model.from, to: model.to)
    }
}

extension API.Notification {
    init(_ stored: StoredNotification) {
        let model = stored.notification
        self.init(
            id: model.id.rawValue, at: Moment(model.at), severity: .init(model.severity), kind: model.kind,
            service: model.service?.rawValue, consumer: model.consumer?.rawValue, title: model.title,
            body: model.body, offer: model.offer.map(API.ConstraintOffer.init), deliveries: stored.deliveries)
    }
}

extension API.RequestUsage {
    init(_ model: RequestUsage) {
        self.init(
            consumer: model.consumer.rawValue, service: model.service.rawValue, instance: model.instance?.rawValue,
            periodStart: model.periodStart.map(Moment.init), requests: model.requests, rejected: model.rejected,
            failed: model.failed, aborted: model.aborted, bytesIn: model.bytesIn, bytesOut: model.bytesOut,
            busyMicroseconds: model.busyMicroseconds)
    }
}

extension API.UsageRecord {
    init(_ stored: StoredUsageRecord) {
        let model = stored.record
        self.init(
            requestID: model.requestID.description, consumer: model.consumer.rawValue,
            service: model.service.rawValue, instance: model.instance?.rawValue, outcome: .init(model.outcome),
            status: Int(model.status), bytesIn: model.bytesIn, bytesOut: model.bytesOut,
            receivedAt: Moment(model.receivedAt), forwardedAt: model.forwardedAt.map(Moment.init),
            completedAt: Moment(model.completedAt), storedAt: Moment(stored.storedAt), source: stored.source,
            sequence: stored.sequence)
    }
}

extension API.AuditEvent {
    init(_ stored: StoredAuditEvent) {
        let model = stored.event
        self.init(
            position: stored.position, requestID: model.requestID.description, observer: model.observer,
            service: model.service.rawValue, consumer: model.consumer?.rawValue, principal: model.principal,
            credentialKind: .init(model.credentialKind), credentialTag: model.credentialTag,
            sourceAddress: model.sourceAddress, userAgent: model.userAgent, method: model.method, path: model.path,
            outcome: .init(model.outcome), reason: model.reason, status: Int(model.status),
            receivedAt: Moment(model.receivedAt), forwardedAt: model.forwardedAt.map(Moment.init),
            respondedAt: Moment(model.respondedAt), storedAt: Moment(stored.storedAt))
    }
}

extension API.FailedLogins {
    init(_ model: FailedLogins) {
        self.init(
            principal: model.principal, sourceAddress: model.sourceAddress, failures: model.failures,
            distinctCredentials: model.distinctCredentials, firstAt: Moment(model.firstAt),
            lastAt: Moment(model.lastAt))
    }
}
