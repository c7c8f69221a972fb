import CloudModel
import VirtualInfrastructure

/// Judges by what really runs, and by what was really stored; trusts neither the controller nor the hosts' answers.
struct HostAuditor {
    private(set) var violation: Violation?
    /// Something that runs has changed.
    var mustLook = false
    private var step = 0
    private var now: Int64 = 0
    private var books: [String: [LifecycleEvent]] = [:]

    mutating func begins(step: Int, at now: Int64) {
        self.step = step
        self.now = now
    }

    mutating func finds(_ rule: String, _ what: String) {
        guard violation == nil else { return }
        violation = Violation(rule: rule, what: what, step: step, at: TimeSpan(microseconds: now))
    }

    // MARK: What runs

    /// Nothing runs twice: neither an instance, whatever its incarnation, nor anything under one address; and never
    /// more than the hard cap.
    mutating func look(at world: HostSimulation) {
        guard mustLook else { return }
        mustLook = false
        now = world.now
        var places: [InstanceID: PhysicalServerID] = [:]
        var addresses: [String: InstanceID] = [:]
        var counts: [ServiceID: Int] = [:]
        for host in world.hosts.keys.sorted() {
            guard let known = world.hosts[host], known.isPowered else { continue }
            for guest in known.guests.values where guest.isLive {
                let instance = guest.identity.instance
                counts[guest.identity.service, default: 0] += 1
                if let other = places.updateValue(host, forKey: instance) {
                    finds("runs-twice", "\(instance) runs on \(other) and on \(host)")
                }
                if let other = addresses.updateValue(instance, forKey: guest.address) {
                    finds("address-twice", "\(other) and \(instance) both have \(guest.address)")
                }
            }
        }
        for service in world.plan.configuration.services {
            let (count, maximum) = (counts[service.id] ?? 0, service.constraints.maximumInstances)
            if count > maximum { finds("hard-cap", "\(count) of \(service.id) run, the maximum is \(maximum)") }
        }
    }

    /// A virtual server is about to be started.
    mutating func runs(
        _ definition: VirtualServerDefinition, on host: PhysicalServerID, in world: HostSimulation
    ) {
        let instance = definition.identity.instance
        let stored = world.store.instances[instance]
        if stored?.virtualServer?.host != host || stored?.incarnation != definition.identity.incarnation {
            finds("intent", "\(instance) is started on \(host), which was not stored before")
        }
        let left = world.hosts[host]?.guests.values.filter { $0.isGivenUp && ($0.isLive || $0.state == .saved) } ?? []
        if let first = left.first {
            finds("not-cleaned", "\(instance) is started on \(host), which still has \(first.identity.instance)")
        }
    }

    // MARK: What is believed

    /// After each step: what is promised of each host, summed up apart from the controller's own books.
    mutating func stepped(_ world: HostSimulation) {
        let infrastructure = world.controller.infrastructure
        var sums: [PhysicalServerID: ServerResources] = [:]
        for server in infrastructure.servers.values {
            let held = server.placement.flavor.resources
            sums[server.placement.host, default: .zero] = sums[server.placement.host, default: .zero] + held
            guard let destination = server.placement.destination else { continue }
            let there = ServerResources(
                cpuMillicores: infrastructure.millicores(of: server.instance) ?? 0, memory: held.memory)
            sums[destination, default: .zero] = sums[destination, default: .zero] + there
        }
        for host in infrastructure.hosts {
            let id = host.server.id
            let sum = sums[id] ?? .zero
            if infrastructure.usage(of: id) != sum { finds("reservations", "\(id) is taken to hold another sum") }
            if world.hosts[id]?.server.capacity.holds(sum) == false {
                finds("overcommitted", "\(id) has promised \(sum.cpuMillicores) millicores, \(sum.memory)")
            }
            guard host.health.phase == .fenced else { continue }
            for name in world.hosts[id]?.guests.keys.sorted() ?? [] {
                world.hosts[id]?.guests[name]?.isGivenUp = true
            }
        }
    }

    mutating func booked(_ event: LifecycleEvent) {
        let name = "\(event.instance)/\(event.incarnation)"
        let before = books[name]?.last
        if event.kind == .start, before != nil { finds("books", "a second start of \(name)") }
        if event.kind != .start, before == nil { finds("books", "a \(event.kind) of \(name), which has no start") }
        if before?.kind == .stop { finds("books", "a \(event.kind) of \(name) after its stop") }
        if let before, event.at < before.at { finds("books", "a \(event.kind) of \(name) before its \(before.kind)") }
        books[name, default: []].append(event)
    }

    // MARK: Rest

    /// What is not as it is wanted yet; nil where all is.
    func unrest(of world: HostSimulation) -> String? {
        if world.isDown { return "the control plane is down" }
        let infrastructure = world.controller.infrastructure
        if let host = infrastructure.hosts.first(where: { $0.health.phase != .up || $0.drain != nil }) {
            return "\(host.server.id) is \(host.health.phase)"
        }
        for service in world.plan.configuration.services {
            let up = world.controller.instances.count {
                $0.service == service.id && $0.role == .active && $0.phase == .running && $0.operational == .up
            }
            if up < service.constraints.minimumInstances { return "\(up) of \(service.id) are up" }
            if let pool = service.scaling.warmPool {
                let waiting = world.controller.instances.count {
                    $0.service == service.id && $0.role == .standby && $0.phase == .running
                        && $0.virtualServer?.parked == pool.parked
                }
                let wanted = min(pool.instances, service.constraints.maximumInstances - up)
                if waiting != wanted { return "\(waiting) of \(service.id) wait, not \(wanted)" }
            }
        }
        var expected: Set<String> = []
        for instance in world.controller.instances {
            if instance.phase == .requested { continue }
            guard instance.phase == .running, let placement = instance.virtualServer, placement.destination == nil
            else { return "\(instance.id) is \(instance.phase)" }
            guard let guest = world.hosts[placement.host]?.guests[placement.name], !guest.isArriving,
                guest.identity.incarnation == instance.incarnation
            else { return "\(instance.id) is lost: it is not on \(placement.host)" }
            let state: VirtualServerState =
                switch placement.parked {
                case .saved: .saved
                case .paused: .paused
                case nil: .running
                }
            guard guest.state == state else { return "\(instance.id) is \(guest.state)" }
            expected.insert("\(placement.host)/\(placement.name)")
        }
        for host in world.hosts.keys.sorted() {
            for name in world.hosts[host]?.guests.keys.sorted() ?? [] where !expected.contains("\(host)/\(name)") {
                return "\(name) is left on \(host)"
            }
        }
        return nil
    }

    /// At rest each start without a stop is of one that runs, and the other way round.
    mutating func closeBooks(of world: HostSimulation, heap: inout EventHeap<HostEvent>) {
        heap = EventHeap()
        let open = Set(books.filter { $0.value.last?.kind != .stop }.keys)
        let running = Set(
            world.controller.instances.filter { $0.phase == .running }.map { "\($0.id)/\($0.incarnation)" })
        if let name = open.symmetricDifference(running).sorted().first {
            finds("books", "\(name) " + (open.contains(name) ? "has ended without a stop" : "runs without a start"))
        }
        for instance in world.controller.instances where instance.phase == .running {
            let name = "\(instance.id)/\(instance.incarnation)"
            let last = books[name]?.last { [.start, .suspend, .resume].contains($0.kind) }
            let isAsleep = instance.virtualServer?.parked != nil
            if let last, (last.kind == .suspend) != isAsleep {
                finds("books", "\(name) is \(isAsleep ? "asleep" : "awake"), and its last event is a \(last.kind)")
            }
        }
    }
}
