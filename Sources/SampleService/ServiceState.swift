import NIOCore

/// What all connections share. Confined to the one event loop that they all run on.
final class ServiceState: @unchecked Sendable {
    let instance: String
    /// Requests other than health checks and administration.
    var requests = 0
    var isIll = false
    private(set) var isFinishing = false
    private var open: [ObjectIdentifier: any Channel] = [:]
    private var finished: EventLoopPromise<Void>?

    init(instance: String) { self.instance = instance }

    func opened(_ channel: any Channel) {
        open[ObjectIdentifier(channel)] = channel
        channel.closeFuture.whenComplete { _ in
            self.open[ObjectIdentifier(channel)] = nil
            if self.isFinishing, self.open.isEmpty { self.finished?.succeed() }
        }
    }

    /// Closes the connections that wait for a request; the future succeeds when those with one have answered it.
    func finish(on loop: any EventLoop) -> EventLoopFuture<Void> {
        isFinishing = true
        let promise = loop.makePromise(of: Void.self)
        finished = promise
        if open.isEmpty { promise.succeed() }
        for channel in Array(open.values) { channel.pipeline.fireUserInboundEventTriggered(FinishEvent()) }
        return promise.futureResult
    }
}

/// Tells a connection that the service ends.
struct FinishEvent: Sendable {}
