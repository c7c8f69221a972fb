import CloudModel
import CloudPorts

extension ControlPlane {
    /// Delivers what is due, a bounded number at a time; every delivery is repeated until it succeeds or is given up.
    nonisolated func deliverNotifications(publicURL: String) async {
        let pollInterval = Duration.milliseconds(100)
        let batchSize = 16
        while !Task.isCancelled {
            var due: [Delivery] = []
            do { due = try await ports.logDatabase.dueDeliveries(at: clock.now(), limit: batchSize) } catch {
                logger.error("The outbox cannot be read", metadata: ["error": "\(error)"])
            }
            await withTaskGroup(of: Void.self) { group in
                for delivery in due { group.addTask { await self.deliver(delivery, publicURL: publicURL) } }
            }
            if due.count < batchSize { try? await Task.sleep(for: pollInterval) }
        }
    }

    private nonisolated func deliver(_ delivery: Delivery, publicURL: String) async {
        var state: DeliveryState
        do {
            let link = delivery.notification.offer.map { offer in
                links.link(for: offer, of: delivery.notification, base: publicURL)
            }
            try await ports.notifier.deliver(delivery.notification, to: delivery.channel, acceptLink: link)
            state = .delivered(at: clock.now())
        } catch {
            state = stateAfterFailure(of: delivery, error)
            logger.warning(
                "A notification could not be delivered",
                metadata: [
                    "notification": "\(delivery.notification.id)", "attempt": "\(delivery.attempts + 1)",
                    "error": "\(error)",
                ])
        }
        do { try await ports.logDatabase.finish(delivery, state: state) } catch {
            logger.error("A delivery's outcome cannot be stored; it will be repeated", metadata: ["error": "\(error)"])
        }
    }

    private nonisolated func stateAfterFailure(of delivery: Delivery, _ error: any Error) -> DeliveryState {
        let now = clock.now()
        let permanent = (error as? DeliveryError)?.permanent ?? false
        let failure = (error as? DeliveryError)?.message ?? "\(error)"
        var random = SystemRandomNumberGenerator()
        guard !permanent, let pause = DeliverySchedule().pause(afterAttempt: delivery.attempts + 1, random: &random)
        else { return .givenUp(at: now, failure: failure) }
        return .retry(at: now + pause, failure: failure)
    }
}
