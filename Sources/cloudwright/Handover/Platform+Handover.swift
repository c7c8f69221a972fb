import CloudModel
import Foundation
import Gateway
import Glibc
import Handover
import Logging
import RemoteAdministration

// SIGUSR2: the program as it is on disk now takes over. In this order, so that at each moment one process decides, and
// one at least takes requests:
//
// 1. The new process reads its configuration. Where it cannot, nothing has happened.
// 2. This one ends its administration and its control plane, and gives up the log database, the instances and the data
//    directory. Its gateway goes on by its last snapshot, with a spool of its own.
// 3. The new one gets the listening sockets, opens the log database and a spool, adopts the instances, and takes
//    requests from the sockets.
// 4. This one accepts no more, finishes what is under way, and ends; the new one carries its records to the books.

extension Platform {
    /// How the attempt to pass the platform on ended.
    enum HandoverOutcome {
        /// Another process serves; this one has finished.
        case done
        /// The new process could not take over; this one goes on as it was.
        case refused(String)
        /// Nobody decides any more: this process has to end, and to be started anew.
        case failed(String)
    }

    /// How long the successor may take from the moment when this process holds nothing any more.
    private static var takingOver: TimeSpan { .seconds(120) }

    func handOver() async -> HandoverOutcome {
        guard SpoolPlaces.hasRoom(in: ground.data) else {
            return .refused(
                "\(SpoolPlaces.count - 1) earlier processes still finish requests; wait until one has ended")
        }
        let arguments = CommandLine.arguments
        var successor: Successor
        do {
            successor = try await Successor.start(program: arguments[0], arguments: arguments)
        } catch {
            return .refused(error.description)
        }
        logger.notice("Handing over", metadata: ["process": "\(successor.processID)"])
        await standDown()
        do {
            try await pass(to: successor)
        } catch {
            logger.critical(
                "The new process did not take over; the program that runs is started again",
                metadata: ["reason": "\(error)"])
            successor.end()
            do {
                // What is on disk may be another program by now; this is the one that is running.
                successor = try await Successor.start(program: "/proc/self/exe", arguments: arguments)
                try await pass(to: successor)
            } catch {
                return .failed(error.description)
            }
        }
        await finishRequests()
        return .done
    }

    /// That this process serves. Where the one before it has died meanwhile there is nobody to be told.
    func tellOthers(_ predecessor: Predecessor) {
        do { try predecessor.serves() } catch {
            logger.warning("The process before this one is gone", metadata: ["reason": "\(error)"])
        }
        do { try ServiceNotification.becomesMainProcess() } catch {
            logger.error("systemd does not know the main process", metadata: ["reason": "\(error)"])
        }
    }

    private func pass(to successor: Successor) async throws(HandoverError) {
        var sockets = rooms.gateway.listeningSockets
        if let socket = rooms.server.listeningSocket {
            let address = rooms.server.configuredAddress
            sockets.append((name: AdministrationServer.socketName(address), descriptor: socket))
        }
        try successor.give(sockets)
        try successor.release()
        try await successor.serves(within: Self.takingOver)
    }

    /// Everything but the requests under way ends here, and is left as it is.
    private func standDown() async {
        server.cancel()
        _ = await server.result
        await rooms.controlPlane.handOver()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        // Instances that end from now on are nobody's to wait for.
        signal(SIGCHLD, SIG_IGN)
        await ground.driver.close()
        ground.lease?.standDown()
        await ground.database.close()
    }

    private func finishRequests() async {
        logger.notice("Another process serves; this one finishes its requests")
        await rooms.gateway.drainAndStop(within: options.upgradeDrainLimit, keepsIdle: true)
        rooms.gateway.spool.close()
        logger.notice("Requests are finished")
    }
}
