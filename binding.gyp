{
  "targets": [
    {
      "target_name": "tvn",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt", "native/ops.def"],
          "outputs": ["build/Release/tvn.node"],
          "action": ["node", "scripts/install.mjs"]
        }
      ]
    }
  ]
}
