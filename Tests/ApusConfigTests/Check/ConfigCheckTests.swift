import ApusConfig
import Foundation
import Testing

@Suite("check config") struct ConfigCheckTests {
    /// A new directory with `files`, removed after `body`.
    private func withFiles(_ files: [String: String], _ body: (String) -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for (name, text) in files { try Data(text.utf8).write(to: directory.appendingPathComponent(name)) }
        body(directory.path)
    }

    @Test("accepts a configuration and the files that it names") func valid() throws {
        try withFiles(["p.yml": "scrape_configs: [{job_name: a, file_sd_configs: [{files: [t.json]}]}]", "t.json": #"[{"targets":["a:1"]}]"#]) { path in
            let result = checkConfigFiles(["\(path)/p.yml"])
            #expect(result.exitCode == 0)
            #expect(result.output == "Checking \(path)/p.yml\n SUCCESS: \(path)/p.yml is valid prometheus config file syntax\n\n")
        }
    }

    @Test("misses files unless only the syntax is looked at") func missingFiles() throws {
        try withFiles(["p.yml": "scrape_configs: [{job_name: a, authorization: {credentials_file: nope}}]", "r.yml": "rule_files: [nope.yml]"]) { path in
            for file in ["p.yml", "r.yml"] {
                #expect(checkConfigFiles(["\(path)/\(file)"]).exitCode == 1)
                var options = ConfigCheckOptions()
                options.syntaxOnly = true
                #expect(checkConfigFiles(["\(path)/\(file)"], options: options).exitCode == 0)
            }
        }
    }

    @Test("finds long intervals if asked to") func lint() throws {
        try withFiles(["p.yml": "scrape_configs: [{job_name: a, scrape_interval: 10m}]"]) { path in
            var options = ConfigCheckOptions()
            options.lints = ["too-long-scrape-interval"]
            #expect(checkConfigFiles(["\(path)/p.yml"], options: options).exitCode == 0)
            options.lintFatal = true
            #expect(checkConfigFiles(["\(path)/p.yml"], options: options).exitCode == 3)
        }
    }

    @Test("checks the files of rules that a configuration names") func rules() throws {
        try withFiles(["p.yml": "rule_files: [r.yml]", "r.yml": "groups: []"]) { path in
            var options = ConfigCheckOptions()
            options.checkRuleFile = { _ in RuleFileCheck(ruleCount: 3) }
            let fine = checkConfigFiles(["\(path)/p.yml"], options: options)
            #expect(fine.exitCode == 0 && fine.output.hasSuffix("\n\nChecking \(path)/r.yml\n  SUCCESS: 3 rules found\n\n"))
            options.checkRuleFile = { _ in RuleFileCheck(ruleCount: 3, lintFindings: ["lint error"]) }
            #expect(checkConfigFiles(["\(path)/p.yml"], options: options).exitCode == 0)
            options.lintFatal = true
            let found = checkConfigFiles(["\(path)/p.yml"], options: options)
            #expect(found.exitCode == 3 && found.errorOutput == "  FAILED:\nlint error\n")
            options.checkRuleFile = { _ in RuleFileCheck(ruleCount: 0, errors: ["broken"]) }
            #expect(checkConfigFiles(["\(path)/p.yml"], options: options).exitCode == 1)
        }
    }

    @Test("finds broken target files, addresses that are URLs, jobs named twice across files") func invalid() throws {
        try withFiles([
            "sd.yml": "scrape_configs: [{job_name: a, file_sd_configs: [{files: [t.json]}]}]", "t.json": "{",
            "url.yml": "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x']}], relabel_configs: [{target_label: b}]}]",
            "twice.yml": "scrape_config_files: [more.yml]\nscrape_configs: [{job_name: a}]", "more.yml": "scrape_configs: [{job_name: a}]",
        ]) { path in
            for file in ["sd.yml", "url.yml", "twice.yml", "absent.yml"] {
                let result = checkConfigFiles(["\(path)/\(file)"])
                #expect(result.exitCode == 1, "\(file)")
                #expect(result.errorOutput.hasPrefix("  FAILED: "))
            }
        }
    }
}
