import Foundation
import Testing

/// Every query of the dashboards that come with Apus finds data in a running system.
@Suite("Dashboards") struct DashboardTests {
    struct Query: CustomStringConvertible, Sendable {
        let dashboard: String
        let panel: String
        let expression: String
        var description: String { "\(dashboard): \(panel): \(expression)" }
    }

    @Test("every query returns data", arguments: ["apus", "shop-service", "node"])
    func queries(_ dashboard: String) throws {
        let system = try RunningSystem.shared.get()
        if dashboard == "node" && system.node == nil {
            print("skipped: node_exporter is not installed: scripts/install-test-peers")
            return
        }
        let found = try load(dashboard)
        #expect(!found.isEmpty)
        for query in found {
            #expect(eventually(within: 60) { !system.query(query.expression).isEmpty }, "no data: \(query)")
        }
    }

    /// All `expr` of a dashboard, variables replaced by what the running system has.
    private func load(_ name: String) throws -> [Query] {
        let file = Programs.repository.appending(path: "dashboards/\(name).json")
        let root = JSON(try JSONSerialization.jsonObject(with: Data(contentsOf: file)))
        var queries: [Query] = []
        func visit(_ panels: [JSON]) {
            for panel in panels {
                for target in panel["targets"].list {
                    guard let expression = target["expr"].string else { continue }
                    queries.append(
                        Query(dashboard: name, panel: panel["title"].string ?? "?", expression: substituted(expression, root)))
                }
                visit(panel["panels"].list)
            }
        }
        visit(root["panels"].list)
        return queries
    }

    private func substituted(_ expression: String, _ dashboard: JSON) -> String {
        var text = expression
        let fixed = ["__rate_interval": "10s", "__interval": "5s", "__range": "1m"]
        for (name, value) in fixed {
            text = text.replacingOccurrences(of: "${\(name)}", with: value).replacingOccurrences(of: "$\(name)", with: value)
        }
        let variables = dashboard["templating"]["list"].list.compactMap { $0["name"].string }.sorted { $0.count > $1.count }
        for name in variables {
            for form in ["${\(name):regex}", "${\(name)}", "$\(name)"] { text = text.replacingOccurrences(of: form, with: ".+") }
        }
        // A variable that stood behind `=` now is a pattern.
        return text.replacingOccurrences(of: "=\".+\"", with: "=~\".+\"").replacingOccurrences(of: "=~~", with: "=~")
    }
}
