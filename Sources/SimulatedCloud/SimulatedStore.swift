import CloudController
import CloudModel

/// The log database, as far as a restarted control plane goes by it: only what committed steps wrote.
struct SimulatedStore {
    private(set) var configuration = CloudConfiguration()
    private(set) var instances: [InstanceID: ServiceInstance] = [:]
    private var incidents: [String: Incident] = [:]
    private var ordinals: [ServiceID: Int] = [:]
    private var demand: [ServiceID: [Int: String]] = [:]
    private(set) var operations: [OperationID: Operation] = [:]

    /// One transaction: the writes of one step.
    mutating func commit(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .persist(let instance):
                instances[instance.id] = instance.phase == .removed ? nil : instance
            case .persistIncident(let incident):
                incidents[incident.id] = incident.closedAt == nil ? incident : nil
            case .persistConfiguration(let new): configuration = new
            case .persistOrdinal(let service, let ordinal): ordinals[service] = ordinal
            case .persistDemand(let service, let place, let day): demand[service, default: [:]][place] = day
            case .persistOperation(let operation):
                operations[operation.id] = operation.state == .running ? operation : nil
            case .record, .lifecycle, .notify, .start, .stop, .probe, .publish, .connect, .disconnect, .hypervisor,
                .fence:
                break
            }
        }
    }

    var openIncidents: [Incident] { incidents.values.sorted { $0.id < $1.id } }

    var recoveredState: RecoveredState {
        RecoveredState(
            configuration: configuration, instances: instances.values.sorted { $0.id < $1.id },
            incidents: openIncidents, lastOrdinals: ordinals,
            operations: operations.values.sorted { $0.id < $1.id },
            demand: demand.mapValues { $0.sorted { $0.key < $1.key }.map(\.value) })
    }
}
