"""A TravelPlanner on Azure Functions, streamed to the page at `/api/index`.

On Azure OpenAI where `AZURE_OPENAI_ENDPOINT` names one; otherwise on the demo's script, without key and network.
"""

from streamsink.demo.travel_planner import create_agent
from streamsink.hosts.functions import StreamFunctionApp

app = StreamFunctionApp(agents=[create_agent()])
