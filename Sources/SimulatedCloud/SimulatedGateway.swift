import CloudModel

/// The gateway, as far as the controller sees it: admits by the constraints of its snapshot, queues, balances, and
/// reports. With an admission model of its own.
struct SimulatedGateway {
    struct Request {
        var number: Int
        var service: ServiceID
        var consumer: ConsumerID
        /// Nil while it is queued.
        var instance: InstanceID?
        var port: UInt16 = 0
        var attempts = 0
    }

    struct Service {
        var snapshot: ServiceSnapshot
        /// Sorted: the queue is served in order.
        var queue: [Int] = []
        var inFlight: [InstanceID: Int] = [:]
        var requestsOfConsumer: [ConsumerID: Int] = [:]
        var refused: Set<ConsumerID> = []
        var admitted: UInt64 = 0
        var rejected: UInt64 = 0
        var completed: UInt64 = 0

        var total: Int { requestsOfConsumer.values.reduce(0, +) }
    }

    var services: [ServiceID: Service] = [:]
    var requests: [Int: Request] = [:]
    var lastNumber = 0
    var generation: UInt64 = 0

    /// The constraint that keeps the consumer out, and what is in use of it; nil where it is let in.
    func refusal(of consumer: ConsumerID, by service: Service) -> (limit: Int, current: Int)? {
        let constraints = service.snapshot.service.constraints
        let maximum = constraints.maximumInstances
        if let perInstance = constraints.activeConsumersPerInstance, service.requestsOfConsumer[consumer] == nil {
            let active = service.requestsOfConsumer.count
            if active >= maximum * perInstance { return (maximum, (active + perInstance - 1) / perInstance) }
        }
        if let perInstance = constraints.concurrentRequestsPerInstance, service.total >= maximum * perInstance {
            return (maximum, (service.total + perInstance - 1) / perInstance)
        }
        return nil
    }

    /// The least loaded instance that has room.
    func backend(of service: Service) -> Backend? {
        let constraints = service.snapshot.service.constraints
        let room = constraints.concurrentRequestsPerInstance ?? constraints.activeConsumersPerInstance ?? .max
        return service.snapshot.backends
            .filter { $0.administrative == .enabled && service.inFlight[$0.instance] ?? 0 < room }
            .min {
                (service.inFlight[$0.instance] ?? 0, $0.instance) < (service.inFlight[$1.instance] ?? 0, $1.instance)
            }
    }

    /// A request is over, or goes back to the queue.
    mutating func release(_ request: Request) {
        guard let instance = request.instance, let count = services[request.service]?.inFlight[instance] else { return }
        services[request.service]?.inFlight[instance] = count > 1 ? count - 1 : nil
    }

    mutating func forget(_ request: Request) {
        requests[request.number] = nil
        release(request)
        let count = services[request.service]?.requestsOfConsumer[request.consumer] ?? 0
        services[request.service]?.requestsOfConsumer[request.consumer] = count > 1 ? count - 1 : nil
        services[request.service]?.queue.removeAll { $0 == request.number }
    }
}
