import AdministrationAPI
import ScalingReplay

extension RouteTable {
    /// About 200,000 points in time, as JSON carries them.
    private static let longestUse = 4_194_304

    static let sizes: [Route] = [
        Route(
            name: "recommendSize", method: .post, path: "/api/v1/size-recommendations", right: .read,
            summary: "Says how much processor time a virtual server should have, from its recorded use.",
            body: Route.RequestBody(
                type: API.RecordedUse.self, mediaTypes: [JSON.mediaType], limitInBytes: longestUse),
            answer: .json(API.SizeRecommendation.self, "The size; nothing is changed.")
        ) { try await $0.recommendSize($1) }
    ]
}

extension Handlers {
    private static let largestSize = 1_000_000

    func recommendSize(_ call: Call) async throws -> Reply {
        let asked = try JSON.read(API.RecordedUse.self, from: call.body)
        let maximum = asked.maximumMillicores ?? Self.largestSize
        for (name, value) in [("givenMillicores", asked.givenMillicores), ("maximumMillicores", maximum)] {
            guard (1...Self.largestSize).contains(value) else {
                throw API.Problem.invalid("\(name) is \(value); give 1 to \(Self.largestSize).")
            }
        }
        // One at a time, as replays are: it computes for a moment.
        let (replay, points) = try await replayLane.run {
            let usage: LoadHistory
            do { usage = try CSVHistory.read(asked.csv.utf8) } catch {
                throw API.Problem.invalid("The recorded use cannot be read: \(error).")
            }
            return (VerticalReplay(usage, given: asked.givenMillicores, atMost: maximum), usage.points.count)
        }
        guard let size = replay.size else {
            throw API.Problem.invalid("The recorded use has nothing to go by; record more of it.")
        }
        return .json(
            API.SizeRecommendation(
                targetMillicores: min(size.target, maximum), lowerMillicores: size.lower, upperMillicores: size.upper,
                meanGivenMillicores: Int(replay.meanGiven.rounded()),
                shortTimePerMillion: Int((replay.shortTime * 1_000_000).rounded()), changes: replay.changes,
                points: points))
    }
}
