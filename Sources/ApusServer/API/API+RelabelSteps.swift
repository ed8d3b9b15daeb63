import ApusBytes
import ApusConfig
import ApusModel
import ApusScrape

extension API {
    /// `/targets/relabel_steps`: what each relabel rule of a job does to the labels given.
    func relabelSteps(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let pool = request.form["scrapePool"].description
        guard !pool.isEmpty else { throw APIError(.badData, "no scrapePool parameter provided") }
        let text = request.form["labels"]
        guard !text.isEmpty else { throw APIError(.badData, "no labels parameter provided") }
        let labels = try labelSet(text)
        let jobs = components.configuration.snapshot.configuration.scrapeConfigs
        guard let job = jobs.first(where: { $0.jobName == pool }) else {
            throw APIError(.badData, "error getting scrape config: unknown scrape pool: \(goQuoted(pool))")
        }
        let steps = ApusConfig.relabelSteps(labels, job.relabelRules)
        var answer = APIAnswer { json in
            json.object { json in
                json.key("steps")
                json.array { json in
                    for step in steps {
                        json.object { json in
                            json.key("rule")
                            json.relabelRule(step.rule)
                            json.key("output")
                            json.labels(step.output ?? .empty)
                            json.key("keep")
                            json.boolean(step.output != nil)
                        }
                    }
                }
            }
        }
        answer.estimatedBytes = steps.count * 1024
        return answer
    }

    private func labelSet(_ text: ByteString) throws(APIError) -> LabelSet {
        let value: JSONValue
        do throws(JSONError) { value = try JSONReader.read(text.bytes) } catch {
            throw APIError(.badData, "error parsing labels: \(error.description)")
        }
        guard case .object(let fields) = value else { throw APIError(.badData, "error parsing labels: an object of names and values is wanted") }
        var labels: [Label] = []
        for (name, value) in fields {
            guard case .string(let text) = value else { throw APIError(.badData, "error parsing labels: the value of \(name) must be a string") }
            labels.append(Label(name, text))
        }
        return LabelSet(labels)
    }

    /// `/targets/page`: what a target answers at this moment, as it is. Off unless `--web.enable-admin-api` is given: the
    /// server asks with the credentials of its configuration, and shows the answer to anyone.
    func livePage(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        guard options.isAdminEnabled else { throw APIError(.unavailable, "admin APIs disabled") }
        let pool = request.form["scrapePool"].description
        let url = request.form["scrapeUrl"].description
        guard !pool.isEmpty, !url.isEmpty else { throw APIError(.badData, "the parameters scrapePool and scrapeUrl are wanted") }
        let page: LivePage?
        do throws(LivePageError) { page = try components.scrape.livePage(scrapePool: pool, url: url) } catch {
            throw APIError(.execution, error.description)
        }
        guard let page else { throw APIError(.notFound, "no target \(goQuoted(url)) in scrape pool \(goQuoted(pool))") }
        let isText = isValidUTF8(page.body.span)
        var answer = APIAnswer { json in
            json.object { json in
                json.key("contentType")
                json.string(page.contentType)
                json.key("durationSeconds")
                json.number(page.durationSeconds)
                json.key("sizeBytes")
                json.integer(page.body.count)
                json.key("encoding")
                json.string(isText ? "text" : "base64")
                json.key("body")
                if isText { json.string(page.body.span) } else { json.string(base64(page.body)) }
            }
        }
        answer.estimatedBytes = page.body.count * 2 + 256
        return answer
    }
}

extension JSONWriter {
    fileprivate mutating func relabelRule(_ rule: RelabelRule) {
        object { json in
            if !rule.sourceLabels.isEmpty {
                json.key("sourceLabels")
                json.strings(rule.sourceLabels.map(\.description))
            }
            json.key("separator")
            json.string(rule.separator)
            json.key("regex")
            json.string(rule.regex.pattern)
            if rule.modulus != 0 {
                json.key("modulus")
                json.integer(rule.modulus)
            }
            if !rule.targetLabel.isEmpty {
                json.key("targetLabel")
                json.string(rule.targetLabel)
            }
            json.key("replacement")
            json.string(rule.replacement)
            json.key("action")
            json.string(rule.action.rawValue)
        }
    }
}
