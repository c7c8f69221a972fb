import CLocalProcesses
package import CloudModel
import Glibc

/// A process as the kernel shows it in /proc.
package struct ProcessStatus: Hashable, Sendable {
    package var processID: Int32
    /// As in proc(5): `Z` for a zombie, `X` for one that is being removed.
    package var state: UInt8
    package var parent: Int32
    package var group: Int32
    package var session: Int32
    package var startTicks: UInt64
    /// Processor time of its own and of those of its children that have ended and were waited for, in clock ticks.
    package var processorTicks: UInt64

    package var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
}

/// What every process of an instance is marked with in its environment, which its children inherit.
package struct InstanceMarker: Hashable, Sendable {
    package static let cloudName = "CLOUDWRIGHT_CLOUD"
    package static let instanceName = "CLOUDWRIGHT_INSTANCE"
    package static let incarnationName = "CLOUDWRIGHT_INCARNATION"
    package static let serviceName = "CLOUDWRIGHT_SERVICE"
    package static let portName = "CLOUDWRIGHT_PORT"
    /// Of the lease that it was started under; for the instance and for people, no part of its identity.
    package static let epochName = "CLOUDWRIGHT_EPOCH"
    static let prefix = "CLOUDWRIGHT_"

    package var cloud: String
    package var instance: InstanceID
    package var incarnation: Int
    package var service: ServiceID
    package var port: UInt16

    package var environment: [String] {
        [
            "\(Self.cloudName)=\(cloud)", "\(Self.instanceName)=\(instance)",
            "\(Self.incarnationName)=\(incarnation)", "\(Self.serviceName)=\(service)", "\(Self.portName)=\(port)",
        ]
    }

    /// Nil where the environment (zero-terminated entries) lacks a part of the marker.
    package init?(environment bytes: [UInt8]) {
        var values: [String: String] = [:]
        let prefix = Array(Self.prefix.utf8)
        for entry in bytes.split(separator: 0) where entry.starts(with: prefix) {
            guard let sign = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: entry[..<sign], as: UTF8.self)
            // The first of two entries with one name is the one that getenv(3) gives.
            if values[name] == nil { values[name] = String(decoding: entry[(sign + 1)...], as: UTF8.self) }
        }
        guard let cloud = values[Self.cloudName], let instance = values[Self.instanceName],
            let incarnation = values[Self.incarnationName].flatMap(Int.init),
            let service = values[Self.serviceName], let port = values[Self.portName].flatMap(UInt16.init)
        else { return nil }
        self.init(
            cloud: cloud, instance: InstanceID(instance), incarnation: incarnation, service: ServiceID(service),
            port: port)
    }

    package init(cloud: String, instance: InstanceID, incarnation: Int, service: ServiceID, port: UInt16) {
        self.cloud = cloud
        self.instance = instance
        self.incarnation = incarnation
        self.service = service
        self.port = port
    }
}

package struct MarkedProcess: Hashable, Sendable {
    package var status: ProcessStatus
    package var marker: InstanceMarker
}

/// The machine's processes. Everything read here may be out of date when it is used: act through `OpenProcess`.
package enum ProcessTable {
    /// Environments beyond this are cut; ours begin with the marker.
    private static let environmentLimit = 1 << 18

    /// Nil where there is no such process.
    package static func status(of processID: Int32) -> ProcessStatus? {
        guard let bytes = SystemFile.read("/proc/\(processID)/stat", limit: 4_096),
            // The name in parentheses may hold anything, parentheses and spaces too.
            let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, let state = fields[0].first, let parent = number(fields[1], as: Int32.self),
            let group = number(fields[2], as: Int32.self), let session = number(fields[3], as: Int32.self),
            let startTicks = number(fields[19], as: UInt64.self)
        else { return nil }
        let ticks = fields[11...14].map { number($0, as: UInt64.self) ?? 0 }
        return ProcessStatus(
            processID: processID, state: state, parent: parent, group: group, session: session, startTicks: startTicks,
            processorTicks: ticks.reduce(0, &+))
    }

    private static func number<Number: FixedWidthInteger>(_ digits: ArraySlice<UInt8>, as: Number.Type) -> Number? {
        Number(String(decoding: digits, as: UTF8.self).trimmingNewline)
    }

    /// Nil where the process has no (complete) marker, or its environment is not ours to read.
    package static func marker(of processID: Int32) -> InstanceMarker? {
        SystemFile.read("/proc/\(processID)/environ", limit: environmentLimit).flatMap(InstanceMarker.init)
    }

    /// Whether the process shows an environment at all; one that writes over it (to change its title) shows none.
    package static func hasReadableEnvironment(_ processID: Int32) -> Bool {
        SystemFile.read("/proc/\(processID)/environ", limit: 4_096)?.contains(UInt8(ascii: "=")) ?? false
    }

    /// In ascending order, without this process.
    package static func processIDs() -> [Int32] {
        let own = getpid()
        return SystemFile.names(in: "/proc").compactMap(Int32.init).filter { $0 != own }.sorted()
    }

    /// The living processes that bear a marker of the cloud, in ascending order of their numbers.
    package static func marked(cloud: String) -> [MarkedProcess] {
        processIDs().compactMap { processID in
            guard let marker = marker(of: processID), marker.cloud == cloud, let status = status(of: processID),
                !status.hasEnded
            else { return nil }
            return MarkedProcess(status: status, marker: marker)
        }
    }

    /// The processor time of each leader's whole tree: of every process of its session, and of every one that descends
    /// from it, whatever its session. Leaders that are gone without leaving any are left out.
    package static func processorTimes(ofTrees leaders: Set<Int32>) -> [Int32: TimeSpan] {
        var all: [Int32: ProcessStatus] = [:]
        for processID in processIDs() { all[processID] = status(of: processID) }
        let ticksPerSecond = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        var sums: [Int32: Int64] = [:]
        for status in all.values {
            guard let leader = leader(of: status, among: leaders, all) else { continue }
            sums[leader, default: 0] += Int64(clamping: status.processorTicks)
        }
        return sums.mapValues {
            .microseconds($0.multipliedReportingOverflow(by: 1_000_000).partialValue / ticksPerSecond)
        }
    }

    private static func leader(
        of status: ProcessStatus, among leaders: Set<Int32>, _ all: [Int32: ProcessStatus]
    ) -> Int32? {
        var next: ProcessStatus? = status
        // Parents were read one after another, so that they could even form a circle.
        for _ in 0..<256 {
            guard let one = next else { return nil }
            if leaders.contains(one.processID) { return one.processID }
            if leaders.contains(one.session) { return one.session }
            next = all[one.parent]
        }
        return nil
    }

    /// The living processes of a session, without its leader.
    package static func members(ofSession session: Int32) -> [ProcessStatus] {
        processIDs().compactMap { processID in
            guard processID != session, let status = status(of: processID), status.session == session,
                !status.hasEnded
            else { return nil }
            return status
        }
    }
}

extension String {
    fileprivate var trimmingNewline: Substring { last == "\n" ? dropLast() : self[...] }
}

/// A process held by descriptor: signals reach this one and never another that was given its number later.
package struct OpenProcess: Sendable {
    package let pidfd: Int32

    /// Nil where the process is gone, or the number has been given to another one since `startTicks` was read.
    package init?(_ processID: Int32, startTicks: UInt64) {
        pidfd = clp_pidfd_open(processID)
        guard pidfd >= 0 else { return nil }
        // Read after the descriptor was opened: what is seen now is what the descriptor holds.
        guard let status = ProcessTable.status(of: processID), status.startTicks == startTicks, !status.hasEnded else {
            Glibc.close(pidfd)
            return nil
        }
    }

    package func kill() { _ = clp_pidfd_send_signal(pidfd, SIGKILL) }

    /// Whether the process has ended, waiting for it at most so long.
    package func hasEnded(within milliseconds: Int32) -> Bool {
        var request = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, milliseconds) > 0
    }

    package func close() { Glibc.close(pidfd) }
}
