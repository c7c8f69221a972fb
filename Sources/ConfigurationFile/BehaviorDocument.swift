public import CloudModel
import Yams

/// A file that says how fast `horizontal` may move.
public enum BehaviorDocument {
    /// Reads `scaleUp` and `scaleDown`, at the top or where a HorizontalPodAutoscaler has them (`spec.behavior`).
    /// `file` is its name in the faults. Throws all of them at once.
    public static func read(_ text: String, file: String) throws(ConfigurationFaults) -> ScalingBehavior {
        let context = ReadingContext(file: file)
        context.name("\(ResourceKind.service.rawValue)/")
        guard text.utf8.count <= ConfigurationDocument.longestFile.bytes else {
            throw ConfigurationFaults([
                FileFault(
                    file: file, line: 1, column: 1, message: "the file is longer than 4MiB",
                    remedy: "give the one with scaleUp and scaleDown")
            ])
        }
        let behavior = read(text, context)
        behavior?.faults().forEach(context.take)
        guard let behavior, context.faults.isEmpty else { throw ConfigurationFaults(context.faults.sorted()) }
        return behavior
    }

    private static func read(_ text: String, _ context: ReadingContext) -> ScalingBehavior? {
        do {
            let root = try compose(yaml: text) ?? Node("")
            let outer = root["spec"] ?? root
            let node = outer["behavior"] ?? outer
            guard
                let section = SectionReader(node, ConfigurationSchema.scalingBehavior, path: "", context: context)
            else { return nil }
            return ScalingReader.behavior(section)
        } catch {
            context.fault(yaml: error)
            return nil
        }
    }
}
