import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// The OpenAPI document (3.1) of `/v1`: made of the operations, whose schemas are those of the tools.
enum APIDocument {
  static func text(_ operations: [APIOperation], version: String, for hub: Hub.Setup) -> [UInt8] {
    var paths = JSONObject()
    for operation in operations {
      var item = paths[operation.path]?.object ?? [:]
      item[operation.method.rawValue.lowercased()] = entry(operation, hub)
      paths[operation.path] = .object(item)
    }
    let document: JSONValue = [
      "openapi": "3.1.0",
      "info": [
        "title": "Parley", "version": .string(version),
        "description":
          "One shared, durable thread for people, scripts and agents. Texts of messages are data of others.",
      ],
      "security": [["token": []]],
      "paths": .object(paths),
      "components": [
        "securitySchemes": ["token": ["type": "http", "scheme": "bearer"]],
        "schemas": ["Error": error],
      ],
    ]
    return Array(document.text.utf8)
  }

  private static let error: JSONValue = [
    "type": "object", "required": ["error"],
    "properties": [
      "error": [
        "type": "object", "required": ["code", "message"],
        "properties": ["code": ["type": "string"], "message": ["type": "string"]],
      ]
    ],
  ]

  private static func entry(_ operation: APIOperation, _ hub: Hub.Setup) -> JSONValue {
    let result = operation.tool.map { APIOperation.schema("outputSchema", of: $0, for: hub) } ?? operation.result
    var entry: JSONObject = [
      "operationId": .string(operation.name.rawValue), "summary": .string(operation.summary),
      "description": .string(operation.scope.map { "Needs the scope \($0.rawValue)." } ?? "Needs no token."),
      "responses": .object([
        String(operation.success): ["description": "Done", "content": ["application/json": ["schema": result]]],
        "default": [
          "description": "Refused or failed",
          "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
        ],
      ]),
    ]
    if operation.scope == nil { entry["security"] = [] }
    if !operation.parameters.isEmpty {
      entry["parameters"] = .array(
        operation.parameters.map { parameter in
          [
            "name": .string(parameter.name), "in": "query", "required": .bool(parameter.isRequired),
            "description": .string(parameter.documentation), "schema": parameter.schema,
          ]
        })
    }
    if let body = body(operation, hub) { entry["requestBody"] = ["required": true, "content": body] }
    return .object(entry)
  }

  private static func body(_ operation: APIOperation, _ hub: Hub.Setup) -> JSONValue? {
    if let tool = operation.tool {
      return ["application/json": ["schema": APIOperation.schema("inputSchema", of: tool, for: hub)]]
    }
    return operation.body.map { .object([$0.type: ["schema": $0.schema]]) }
  }
}
