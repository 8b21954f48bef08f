"""The pages, one module for each place: from a request to a view, whose data are the page's JSON as well."""
