import ApusBytes
import ApusModel

/// Reads a file of targets, as `file_sd_configs` names them: a list of `{targets: [...], labels: {...}}` in YAML or
/// JSON, which is YAML, too. Each group's source is `<file>:<index>`.
public func loadTargetGroups(file: String) throws(ConfigError) -> [TargetGroup] {
    try parseTargetGroups(readConfigFile(file), fileName: file)
}

/// The same from text; an empty document holds no groups.
public func parseTargetGroups(_ text: String, fileName: String) throws(ConfigError) -> [TargetGroup] {
    var decoder = StrictDecoder(baseDirectory: "")
    let root: ConfigObject?
    do throws(ConfigProblem) {
        guard let node = try YAMLNode.parse(text), !node.isNull else { return [] }
        root = try decoder.object(wrapping(node), TargetFileSchema.file)
    } catch {
        throw ConfigError(.invalid, fileName: fileName, problems: [error])
    }
    if !decoder.problems.isEmpty { throw ConfigError(.fields, fileName: fileName, problems: decoder.problems) }
    return (root?.objects("groups") ?? []).enumerated().map { index, group in
        TargetGroup(
            targets: group.list("targets").map { LabelSet([Label("__address__", $0.text ?? "")]) },
            labels: LabelSet(group.map("labels").map { Label($0.key, $0.value.text ?? "") }), source: "\(fileName):\(index)")
    }
}

private enum TargetFileSchema {
    static let file = ObjectSchema(
        "[]*targetgroup.Group", [Field("groups", .entries(DiscoverySection.targetGroup, nullError: "nil target group item found"))])
}

/// The list as the only field of a mapping, so that one decoder serves both.
private func wrapping(_ node: YAMLNode) -> YAMLNode {
    let key = YAMLNode(content: .scalar(YAMLScalar(plain: "groups")), position: node.position)
    return YAMLNode(content: .mapping([(key, node)]), position: node.position)
}
