/// What the operator declares: the resources that the control plane makes true.
public struct CloudConfiguration: Codable, Hashable, Sendable {
    /// Sorted by id, as are the others.
    public var services: [CloudService]
    public var consumers: [CloudConsumer]
    public var failoverGroups: [FailoverGroup]
    public var pricePlans: [PricePlan]
    /// The machines with hypervisors that virtual servers are placed on.
    public var physicalServers: [PhysicalServer]
    /// How their load is kept even.
    public var rebalancing: RebalancingSettings
    /// Who is told of what concerns the operator.
    public var administratorChannels: [NotificationChannel]

    public init(
        services: [CloudService] = [], consumers: [CloudConsumer] = [], failoverGroups: [FailoverGroup] = [],
        pricePlans: [PricePlan] = [], physicalServers: [PhysicalServer] = [],
        rebalancing: RebalancingSettings = .init(), administratorChannels: [NotificationChannel] = [.log]
    ) {
        self.services = services.sorted { $0.id < $1.id }
        self.consumers = consumers.sorted { $0.id < $1.id }
        self.failoverGroups = failoverGroups.sorted { $0.id < $1.id }
        self.pricePlans = pricePlans.sorted { $0.id < $1.id }
        self.administratorChannels = administratorChannels
        self.physicalServers = physicalServers.sorted { $0.id < $1.id }
        self.rebalancing = rebalancing
    }

    /// Those whose instances the platform neither starts nor stops, so that no resource agent watches them.
    public var unwatchedServices: Set<ServiceID> {
        Set(services.lazy.filter { if case .endpoints = $0.instances { true } else { false } }.map(\.id))
    }

    /// What an earlier version stored has no price plans, physical servers, or rebalancing.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        services = try container.decode([CloudService].self, forKey: .services)
        consumers = try container.decode([CloudConsumer].self, forKey: .consumers)
        failoverGroups = try container.decode([FailoverGroup].self, forKey: .failoverGroups)
        pricePlans = try container.decodeIfPresent([PricePlan].self, forKey: .pricePlans) ?? []
        physicalServers = try container.decodeIfPresent([PhysicalServer].self, forKey: .physicalServers) ?? []
        rebalancing = try container.decodeIfPresent(RebalancingSettings.self, forKey: .rebalancing) ?? .init()
        administratorChannels = try container.decode([NotificationChannel].self, forKey: .administratorChannels)
    }
}
