import CloudModel
public import ScalingListener

/// What following the recommended size would have done to one server, from its recorded processor use.
public struct VerticalReplay: Hashable, Sendable {
    /// At the end of the history.
    public private(set) var size: RecommendedSize?
    /// What the server had in the mean, in millicores.
    public private(set) var meanGiven = 0.0
    /// The part of the time in which it used all that it had, or would have used more, 0 to 1.
    public private(set) var shortTime = 0.0
    /// How often its size was changed.
    public private(set) var changes = 0

    /// - Parameters:
    ///   - usage: in millicores.
    ///   - given: what it has at the start.
    ///   - maximum: what it may have (`maximumCpuMillicores`).
    public init(_ usage: LoadHistory, given: Int, atMost maximum: Int) {
        var histogram = ProcessorHistogram()
        var present = min(max(1, given), maximum)
        var (sum, short) = (0.0, 0)
        for point in usage.points {
            sum += Double(present)
            if point.value >= Double(present) { short += 1 }
            // No more is seen than what it has.
            histogram.add(min(point.value, Double(present)), given: Double(present), at: point.at)
            guard let size = histogram.size else { continue }
            self.size = size
            if let new = size.change(from: present, atMost: maximum) {
                present = new
                changes += 1
            }
        }
        let count = Double(max(1, usage.points.count))
        meanGiven = sum / count
        shortTime = Double(short) / count
    }
}
