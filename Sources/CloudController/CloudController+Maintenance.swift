import CloudModel
import VirtualInfrastructure

/// Taking physical servers out of use and back, and making their load even. The configuration keeps whether one is
/// closed, so that a restart and a file that is applied keep it too.
extension CloudController {
    func refusal(ofMaintaining command: ControllerCommand) -> CommandRefusal? {
        switch command {
        case .rebalance: return infrastructure.refusalOfRebalancing.map(CommandRefusal.notRebalanced)
        case .abortRebalancing: return infrastructure.rebalance == nil ? .notRebalanced(.notUnderWay) : nil
        default: break
        }
        let refusal: DrainRefusal? =
            switch command {
            case .drainHost(let host, let settings, _): infrastructure.refusal(ofDraining: host, settings)
            case .abortDrain(let host): infrastructure.refusal(ofAbortingDrainOf: host)
            case .activateHost(let host): infrastructure.refusal(ofActivating: host)
            default: nil
            }
        if case .unknownHost(let host) = refusal { return .unknownHost(host) }
        return refusal.map(CommandRefusal.notDrained)
    }

    mutating func carryOut(maintaining command: ControllerCommand, actor: String) {
        switch command {
        case .drainHost(let host, let settings, let operation):
            setClosed(true, host)
            tellInfrastructure(.drain(host, settings, operation: operation, actor: actor))
        case .abortDrain(let host): tellInfrastructure(.abortDrain(host, actor: actor))
        case .rebalance(let operation): tellInfrastructure(.rebalance(operation: operation, actor: actor))
        case .abortRebalancing: tellInfrastructure(.abortRebalancing(actor: actor))
        case .activateHost(let host):
            tellInfrastructure(.abortDrain(host, actor: actor))
            setClosed(false, host)
            context.record(
                "physical-server.activated", service: nil, actor: actor,
                "\(actor) activates \(host): it takes virtual servers again", ["host": host.rawValue])
        default: break
        }
    }

    private mutating func setClosed(_ closed: Bool, _ host: PhysicalServerID) {
        guard let index = configuration.physicalServers.firstIndex(where: { $0.id == host }),
            configuration.physicalServers[index].closed != closed
        else { return }
        var new = configuration
        new.physicalServers[index].closed = closed
        setConfiguration(new)
        context.write(.persistConfiguration(new))
    }
}
