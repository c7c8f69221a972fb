import CLocalProcesses
public import CloudModel
public import CloudPorts
import Dispatch
import Glibc
public import Logging
import Synchronization

/// Runs service instances as processes of this machine, watches them, and finds them again after a restart of the
/// control plane: the embedded default.
///
/// An instance is the leader of a session of its own, together with every process that descends from it. Instances
/// outlive the control plane: when it is killed they go on, and `adopt` takes them over.
///
/// Where things run: the ends of processes are seen by a thread of their own, at once. All that may block (starts,
/// scans of the process table, control groups) runs in order on one serial queue, rotation of output on another;
/// nothing here blocks the caller's threads.
public final class LocalProcessDriver: InstanceDriver {
    public struct Settings: Sendable {
        /// How often the size of the instances' output is looked at.
        public var rotationInterval: TimeSpan
        /// How many instances that are gone keep their output.
        public var retainedOutputs: Int

        public init(rotationInterval: TimeSpan = .seconds(1), retainedOutputs: Int = 64) {
            self.rotationInterval = rotationInterval
            self.retainedOutputs = retainedOutputs
        }
    }

    /// A started instance until nothing of it is left.
    struct Supervised: Sendable {
        var instance: InstanceID
        var incarnation: Int
        var service: ServiceID
        var handle: InstanceHandle
        var port: UInt16
        var pidfd: Int32
        /// False where an earlier control plane started it: then its number is free again as soon as it ends. A child's
        /// stays its own until we reap it, which is done with the entry gone from `State.instances`.
        var isChild: Bool
        var output: OutputFile
        var controlGroup: InstanceControlGroup?
        var watch: ExitWatcher.Token?
        /// Set when it was asked to end: when it is killed, on the monotonic clock.
        var killAt: DispatchTime?
        /// Set when the leader has ended while other processes of the instance go on.
        var leaderEnd: InstanceExit?

        var started: StartedInstance {
            StartedInstance(endpoint: Endpoint(address: LocalProcessDriver.address, port: port), handle: handle)
        }

        var group: String { "\(instance).\(incarnation)" }
    }

    struct State {
        var instances: [InstanceID: Supervised] = [:]
        var closed = false
        /// A scan for processes that belong to no instance is waiting to run.
        var sweepIsDue = false
    }

    static let address = "127.0.0.1"

    /// At most one element for each start and each `stop`, so its buffer is bounded by what was asked for.
    public let exits: AsyncStream<InstanceExit>

    let exitContinuation: AsyncStream<InstanceExit>.Continuation
    let directory: DriverDirectory
    let outputs: OutputDirectory
    let settings: Settings
    let controlGroups: ControlGroups?
    let controlGroupReason: String
    let logger: Logger
    /// Asked right before a process is made.
    let fence = Mutex<any ActionFence>(NoActionFence())
    let watcher: ExitWatcher
    let state = Mutex(State())
    /// Starts, stops, adoption and cleaning up, one after another.
    let work = DispatchQueue(label: "cloudwright.instances")
    let rotation = DispatchQueue(label: "cloudwright.output", qos: .utility)

    /// Makes `instances/` in the data directory and locks it. Throws where another control plane holds it or it cannot
    /// be written.
    public init(
        dataDirectory: String, logger: Logger, settings: Settings = Settings()
    ) throws(InstanceDriverError) {
        directory = try DriverDirectory(dataDirectory: dataDirectory)
        outputs = OutputDirectory(path: directory.outputDirectory, retained: settings.retainedOutputs)
        watcher = try ExitWatcher()
        self.settings = settings
        self.logger = logger
        (exits, exitContinuation) = AsyncStream.makeStream(of: InstanceExit.self, bufferingPolicy: .unbounded)
        (controlGroups, controlGroupReason) = ControlGroups.detect(cloud: directory.cloud)
        if controlGroups == nil {
            logger.notice(
                "No control groups: limits on processor and memory of instances are not enforced",
                metadata: ["reason": "\(controlGroupReason)"])
        } else {
            logger.debug("Control groups found", metadata: ["where": "\(controlGroupReason)"])
        }
        scheduleRotation()
    }

    /// Starts are asked of this fence from here on.
    public func obey(_ fence: any ActionFence) { self.fence.withLock { $0 = fence } }

    /// Ends every instance that this data directory has. For a standby: another control plane decides, and has its own.
    public func endAll() async { _ = await adopt([], services: []) }

    deinit { watcher.close() }

    /// Ends the driver and gives up the data directory. Instances go on and can be adopted by another driver.
    public func close() async {
        let open = state.withLock { state in
            defer { state.closed = true }
            return !state.closed
        }
        guard open else { return }
        watcher.close()
        await onWorkQueue {
            let pidfds = self.state.withLock { state in
                defer { state.instances.removeAll() }
                return state.instances.values.map(\.pidfd)
            }
            for pidfd in pidfds { Glibc.close(pidfd) }
            self.controlGroups?.removeIfEmpty()
        }
        exitContinuation.finish()
        directory.unlock()
    }

    // MARK: InstanceDriver

    public func start(
        _ instance: InstanceID, incarnation: Int, of service: CloudService
    ) async throws(InstanceDriverError) -> StartedInstance {
        try await onWorkQueue { () -> Result<StartedInstance, InstanceDriverError> in
            do throws(InstanceDriverError) {
                return .success(try self.startNow(instance, incarnation: incarnation, of: service))
            } catch { return .failure(error) }
        }.get()
    }

    public func stop(_ instance: InstanceID, incarnation: Int, grace: TimeSpan) async {
        await onWorkQueue { self.stopNow(instance, incarnation: incarnation, grace: grace) }
    }

    public func adopt(
        _ known: [ServiceInstance], services: [CloudService]
    ) async -> [InstanceID: StartedInstance] {
        await onWorkQueue { self.adoptNow(known, services: services) }
    }

    public func running() async -> Set<InstanceID> {
        Set(state.withLock { $0.instances.keys })
    }

    /// Read on the queue of the output: a scan of the process table must not hold starts up.
    public func processorTimes(of instances: Set<InstanceID>) async -> [InstanceID: TimeSpan] {
        let leaders = state.withLock { state in
            state.instances.filter { instances.contains($0.key) }.mapValues(\.handle.processID)
        }
        guard !leaders.isEmpty else { return [:] }
        let times = await withCheckedContinuation { continuation in
            rotation.async {
                continuation.resume(returning: ProcessTable.processorTimes(ofTrees: Set(leaders.values)))
            }
        }
        return leaders.compactMapValues { times[$0] }
    }

    // MARK: For tests

    /// The file that the instance's output goes to.
    package func outputPath(of instance: InstanceID) -> String {
        outputs.file(of: instance, limit: ByteCount(bytes: 0)).path
    }

    package var cloud: String { directory.cloud }

    package var incarnations: [InstanceID: Int] { state.withLock { $0.instances.mapValues(\.incarnation) } }

    /// The directories of the control group that the instance runs in.
    package func controlGroupDirectories(of instance: InstanceID) -> [String] {
        state.withLock { $0.instances[instance]?.controlGroup?.directories ?? [] }
    }

    // MARK: Inside

    func onWorkQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            work.async { continuation.resume(returning: body()) }
        }
    }

    func metadata(_ instance: InstanceID, _ incarnation: Int) -> Logger.Metadata {
        ["instance": "\(instance)", "incarnation": "\(incarnation)"]
    }
}

// MARK: - Output

extension LocalProcessDriver {
    private func scheduleRotation() {
        let interval = DispatchTimeInterval.microseconds(Int(settings.rotationInterval.microseconds))
        rotation.asyncAfter(deadline: .now() + interval) { [weak self] in
            guard let self, !self.state.withLock({ $0.closed }) else { return }
            self.rotateOutputs()
            self.scheduleRotation()
        }
    }

    private func rotateOutputs() {
        let files = state.withLock { $0.instances.values.map(\.output) }
        for file in files.sorted(by: { $0.path < $1.path }) {
            do { try file.rotateIfNeeded() } catch {
                logger.error(
                    "Output of an instance could not be kept; it was emptied where possible",
                    metadata: ["file": "\(file.path)", "error": "\(error)"])
            }
        }
    }

    func removeOldOutputs() {
        rotation.async { [weak self] in
            guard let self else { return }
            self.outputs.removeOldest(except: Set(self.state.withLock { $0.instances.keys }))
        }
    }
}
