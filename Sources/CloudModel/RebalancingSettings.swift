/// How the load of virtual servers is kept even over the physical servers.
public struct RebalancingSettings: Codable, Hashable, Sendable {
    /// How much is done without being asked (the levels of VMware DRS).
    public enum Automation: String, Codable, Hashable, Sendable, CaseIterable {
        /// What would make the load even is proposed; a person has it done.
        case manual
        /// New virtual servers go where the measured load is least; those that run are left where they are.
        case partial
        /// Those that run are moved, too.
        case full
    }

    public var automation: Automation
    /// Between two looks. CloudStack's DRS looks each hour, VMware's each minute.
    public var interval: TimeSpan
    /// The standard deviation of the hosts' load, in percent of a host, from which on something is done; it is done
    /// until half of that is reached, so that it does not begin again at once. Watcher's default is 20.
    public var imbalancePercent: Int
    /// A virtual server that was moved stays for this long, and a move has to pay for itself within it.
    public var cooldown: TimeSpan
    /// In which one host takes part at once, in either direction (KubeVirt's default for outgoing ones).
    public var migrationsPerHost: Int
    /// At once in all (KubeVirt's default).
    public var migrationsPerCluster: Int

    public init(
        automation: Automation = .manual, interval: TimeSpan = .minutes(5), imbalancePercent: Int = 20,
        cooldown: TimeSpan = .minutes(10), migrationsPerHost: Int = 2, migrationsPerCluster: Int = 5
    ) {
        self.automation = automation
        self.interval = interval
        self.imbalancePercent = imbalancePercent
        self.cooldown = cooldown
        self.migrationsPerHost = migrationsPerHost
        self.migrationsPerCluster = migrationsPerCluster
    }
}
