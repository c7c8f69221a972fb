import CloudModel

/// A picture of a replay: the load as an area, the supply as a line, and where the load exceeded it.
public enum ReplayChart {
    private static let width = 1_200
    private static let height = 320
    private static let left = 50
    private static let bottom = 30
    private static let top = 40

    /// SVG 1.1. Each column is one pixel wide and shows the highest demand and the lowest supply of its steps, so that
    /// no miss is lost between pixels.
    public static func svg(_ trace: DemandTrace, _ result: ReplayResult) -> String {
        let columns = self.columns(trace, result)
        let highest = max(1, columns.map { max($0.demand, Double($0.supply)) }.max() ?? 1)
        let plot = Double(height - top - bottom)
        func y(_ value: Double) -> String { decimal(Double(top) + plot * (1 - value / highest)) }
        let floor = y(0)
        var area = "M\(left),\(floor)"
        var line = ""
        var misses = ""
        for (index, column) in columns.enumerated() {
            let x = left + index
            area += "L\(x),\(y(column.demand))"
            line += (line.isEmpty ? "M" : "L") + "\(x),\(y(Double(column.supply)))"
            if column.isMissed {
                misses += "M\(x),\(y(column.demand))V\(y(min(column.demand, Double(column.supply))))"
            }
        }
        area += "L\(left + max(0, columns.count - 1)),\(floor)Z"
        let title =
            "\(escaped(result.name)): \(decimal(result.costRatio)) times the clairvoyant's cost, "
            + "\(decimal(result.missedTime * 100)) % of the time missed, \(result.actions) actions"
        let end = trace.startsAt + trace.step * Int64(trace.demand.count)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(left + width + 10) \(height)" role="img">
            <title>\(title)</title>
            <rect width="100%" height="100%" fill="#fff"/>
            <g font-family="sans-serif" font-size="13" fill="#222">
            <text x="\(left)" y="24">\(title)</text>
            <text x="\(left - 6)" y="\(top + 5)" text-anchor="end">\(decimal(highest))</text>
            <text x="\(left - 6)" y="\(height - bottom)" text-anchor="end">0</text>
            <text x="\(left)" y="\(height - 8)">\(trace.startsAt.rfc3339.prefix(16))</text>
            <text x="\(left + width)" y="\(height - 8)" text-anchor="end">\(end.rfc3339.prefix(16))</text>
            </g>
            <path d="\(area)" fill="#9ecae1"/>
            <path d="\(line)" fill="none" stroke="#08519c" stroke-width="1.2"/>
            <path d="\(misses)" stroke="#cb181d" stroke-width="1.6"/>
            </svg>

            """
    }

    /// One page with a chart for each result, and what the colours mean.
    public static func html(_ charts: [String], title: String) -> String {
        """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><title>\(escaped(title))</title>
        <body style="font-family:sans-serif;margin:2rem"><h1>\(escaped(title))</h1>
        <p>In instances. Area: load. Line: supply. Red: load without supply.</p>
        \(charts.joined(separator: "\n"))
        </body></html>

        """
    }

    private struct Column {
        var demand = 0.0
        var supply = Int.max
        var isMissed = false
    }

    private static func columns(_ trace: DemandTrace, _ result: ReplayResult) -> [Column] {
        let count = min(trace.demand.count, result.supply.count)
        guard count > 0 else { return [] }
        let used = min(width, count)
        var columns = [Column](repeating: Column(), count: used)
        for step in 0..<count {
            let index = step * used / count
            let demand = trace.demand[step] ?? 0
            columns[index].demand = max(columns[index].demand, demand)
            columns[index].supply = min(columns[index].supply, result.supply[step])
            if demand > Double(result.supply[step]) { columns[index].isMissed = true }
        }
        return columns
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }

    /// Two decimals.
    private static func decimal(_ value: Double) -> String {
        let hundredths = Int((min(max(value, -1e12), 1e12) * 100).rounded())
        let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
        let sign = hundredths < 0 ? "-" : ""
        return "\(sign)\(abs(whole)).\(abs(rest) < 10 ? "0" : "")\(abs(rest))"
    }
}
